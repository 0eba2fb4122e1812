# It moves rsp by up to 64 KiB behind the check.
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq $16
9:
    hlt
