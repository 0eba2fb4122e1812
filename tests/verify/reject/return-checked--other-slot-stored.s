# Another word of the stack is replaced.
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, 8(%rsp)
    retq
9:
    hlt
