# Leaves the upper half alone, but nothing emits it.
# base: r15
    sete %r14b
    hlt
