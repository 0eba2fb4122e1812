# rsp moves between check and return.
# base: r15
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    addq $8, %rsp
    retq
9:
    hlt
