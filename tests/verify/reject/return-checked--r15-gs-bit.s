# The bit of the other mode: it would return into gs code.
# base: r15
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
