"""What instructions read, write and keep alive."""
