# The target comes from a register, from memory or from the stack; r11 may be live.
depth_0_begin:
    movl %gs:(%eax,%ecx,8), %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    callq *%r11
    movl 8(%rsp), %eax
    testb $FUNCTION, M(%rax)
    je 9f
    jmpq *%rax
depth_0_1:
    movl %esp, %edx
    testb $FUNCTION, M(%rdx)
    je 9f
    jmpq *%rdx
depth_0_2:
    movq %r11, SPILL_REGISTER(%rsp)
    movl %gs:table(,%eax,8), %r11d
.set table, 0x5000000
    testb $FUNCTION, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    jmpq *SPILL_TARGET(%rsp)
depth_0_3:
9:
    hlt
