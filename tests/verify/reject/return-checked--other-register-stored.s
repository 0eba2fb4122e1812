# Another value than the checked one is returned to.
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r10, (%rsp)
    retq
9:
    hlt
