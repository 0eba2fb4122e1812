# r11 changes between check and store.
# base: r15
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    addq $1, %r11
    movq %r11, (%rsp)
    retq
9:
    hlt
