# Leaves the upper half alone, but nothing emits it.
# base: r15
    movw %ax, %r14w
    hlt
