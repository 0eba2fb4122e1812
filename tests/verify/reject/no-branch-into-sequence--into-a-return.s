# Straight to ret.
# isolation: data
    jne 1f
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
1:
    retq
9:
    hlt
