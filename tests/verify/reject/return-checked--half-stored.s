# The upper half of the return address stays as it was.
# base: r15
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movl %r11d, (%rsp)
    retq
9:
    hlt
