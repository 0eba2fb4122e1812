"""Modules loaded into this process, sandboxes running them, calls, traps and host functions."""
