# The base moved by a constant.
# base: r15
    leaq 8(%r15), %r15
    hlt
