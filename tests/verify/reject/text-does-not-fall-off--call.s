# The callee returns past the end.
1:
    callq 1b
