"""`tmebox bind`: from a header and a library's sources to a Python package whose calls run in a sandbox."""
