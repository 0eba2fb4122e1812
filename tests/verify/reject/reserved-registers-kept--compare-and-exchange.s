# r15 is written if rax equals it.
# base: r15
    cmpxchgq %rcx, %r15
    hlt
