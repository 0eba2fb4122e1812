"""Objects to a module file."""
