# r11 unchecked.
# isolation: data
    jne 1f
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
1:
    movq %r11, (%rsp)
    retq
9:
    hlt
