# A sequence may be entered at its first instruction, and followed.
# isolation: data
    jne 1f
1:
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    stosb
2:
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:RSP_START, %rsp
3:
    jne 1b
    jne 2b
    jne 3b
    hlt
