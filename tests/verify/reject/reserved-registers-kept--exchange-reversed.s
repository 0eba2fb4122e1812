# r15 from rax.
# base: r15
    xchgq %r15, %rax
    hlt
