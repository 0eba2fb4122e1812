"""C to assembly, by clang or gcc, which see no more of the host than they were given."""
