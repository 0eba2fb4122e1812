# The bit of the other mode: it would return into r15 code.
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
