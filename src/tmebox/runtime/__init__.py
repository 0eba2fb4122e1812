"""Modules loaded into this process, sandboxes running them, calls, traps and host functions."""

from tmebox import _native

_native.require_main_interpreter()
