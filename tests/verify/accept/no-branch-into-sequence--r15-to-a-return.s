# A checked return may be entered at its first instruction.
# base: r15
    jne 1f
1:
    movl (%rsp), %r11d
    testb $R15_RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
9:
    hlt
