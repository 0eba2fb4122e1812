# A return may go to a return site only.
# base: r15
    movl (%rsp), %r11d
    testb $R15_RETURN+FUNCTION, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
