"""Memory of a sandbox with C types: pointers, structs, arrays."""
