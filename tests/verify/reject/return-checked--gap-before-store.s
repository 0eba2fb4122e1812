# r11 changes between check and store.
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    addq $1, %r11
    movq %r11, (%rsp)
    retq
9:
    hlt
