# The check goes on if it failed.
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    jne 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
