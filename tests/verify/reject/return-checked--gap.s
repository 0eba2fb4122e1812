# The word is overwritten between check and return.
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    movq %rax, (%rsp)
    retq
9:
    hlt
