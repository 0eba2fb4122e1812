# The check goes on if it failed.
# base: r15
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    jne 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
