# Another word of the stack is checked.
    movl 8(%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
