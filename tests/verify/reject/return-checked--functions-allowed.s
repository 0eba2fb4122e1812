# Returning to a function entry is no return.
# base: r15
    movl (%rsp), %r11d
    testb $R15_FUNCTION, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
