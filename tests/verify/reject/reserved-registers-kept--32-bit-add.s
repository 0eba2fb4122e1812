# Harmless, but nothing emits it.
# base: r15
    addl %eax, %r14d
    hlt
