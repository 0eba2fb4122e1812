# Harmless, but nothing emits it.
# base: r15
    cmovel %eax, %r14d
    hlt
