# The check has no consequence.
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    movq %r11, (%rsp)
    retq
9:
    hlt
