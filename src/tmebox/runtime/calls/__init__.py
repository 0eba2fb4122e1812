"""How values travel between Python and sandboxed functions."""
