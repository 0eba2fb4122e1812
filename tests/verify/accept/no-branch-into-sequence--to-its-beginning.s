# A sequence may be entered at its first instruction, and followed.
    jne 1f
1:
    movl (%rsp), %r11d
    testb $RETURN, M(%r11)
    je 9f
    movq %r11, (%rsp)
    retq
2:
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
3:
    jne 2b
    jne 3b
9:
    hlt
