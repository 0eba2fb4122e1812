# The target comes from a register, from memory or from the stack; r11 may be live.
# isolation: data
    movl %gs:(%eax,%ecx,8), %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    callq *%r11
    movl 8(%rsp), %eax
    testb $LABEL, M(%rax)
    je 9f
    jmpq *%rax
    movl %esp, %edx
    testb $LABEL, M(%rdx)
    je 9f
    jmpq *%rdx
    movq %r11, SPILL_REGISTER(%rsp)
    movl %gs:table(,%eax,8), %r11d
.set table, 0x5000000
    testb $LABEL, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
