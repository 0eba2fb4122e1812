# Returning to a function entry is no return.
    movl (%rsp), %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
