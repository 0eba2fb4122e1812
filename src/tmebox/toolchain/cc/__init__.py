"""`tmebox cc`: a compiler driver with the command line that build systems expect."""
