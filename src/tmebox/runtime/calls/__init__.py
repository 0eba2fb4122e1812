"""How values travel between Python and sandboxed functions.

`functions` makes exports callable, and `host_functions` what the sandbox imports. For each parameter
`arguments` chooses a converter; `scalars` is single numbers, `values` a type's bytes in memory, `buffers`
what is copied in and out, `items` whether a buffer's items are what a pointer points to. `classes` is the
ABI: what goes into which register. `stubs` writes a module's exports down for type checkers.
"""
