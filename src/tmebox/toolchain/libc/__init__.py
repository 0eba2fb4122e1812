"""The C library, made for sandboxes."""
