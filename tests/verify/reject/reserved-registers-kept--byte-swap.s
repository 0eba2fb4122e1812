# The low half becomes the upper one.
# base: r15
    bswapq %r14
    hlt
