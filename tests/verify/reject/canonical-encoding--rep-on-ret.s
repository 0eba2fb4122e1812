# A rep that repeats nothing, once used as padding.
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
.byte 0xf3, 0xc3
9:
    hlt
