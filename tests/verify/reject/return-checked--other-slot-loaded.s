# Another word of the stack is checked.
# base: r15
    movl 8(%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
