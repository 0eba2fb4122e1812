# The upper half is not cleared.
    movq (%rsp), %r11
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
