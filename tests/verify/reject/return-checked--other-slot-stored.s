# Another word of the stack is replaced.
# base: r15
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, 8(%rsp)
    retq
9:
    hlt
