# A return may go to a return site only.
    movl (%rsp), %r11d
    testb $RETURN+FUNCTION, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
