"""Rewriting that nothing needs to be safe, only to be fast."""
