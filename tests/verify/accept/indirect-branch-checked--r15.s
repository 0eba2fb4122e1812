# Calls, jumps and tables, and a jump with r11 in use, with r15-mode's bits.
# base: r15
    movl %eax, %r11d
    testb $R15_FUNCTION, M(%r11)
    je 9f
    callq *%r11
    leal 0x1000(,%rax,8), %r14d
    movl (%r15,%r14), %ecx
    testb $R15_LABEL, M(%rcx)
    je 9f
    jmpq *%rcx
    movl 8(%r15,%r14), %r11d
    testb $R15_LABEL|R15_FUNCTION, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
