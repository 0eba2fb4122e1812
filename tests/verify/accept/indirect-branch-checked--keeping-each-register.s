# Any register but rsp can carry the target, and is what it was afterwards.
depth_0_begin:
    movq %rax, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%eax,8), %eax
    testb $FUNCTION, M(%rax)
    je 9f
    movq %rax, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rax
    jmpq *SPILL_TARGET(%rsp)
depth_0_1:
    movq %rcx, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%ecx,8), %ecx
    testb $FUNCTION, M(%rcx)
    je 9f
    movq %rcx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rcx
    jmpq *SPILL_TARGET(%rsp)
depth_0_2:
    movq %rdx, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%edx,8), %edx
    testb $FUNCTION, M(%rdx)
    je 9f
    movq %rdx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rdx
    jmpq *SPILL_TARGET(%rsp)
depth_0_3:
    movq %rbx, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%ebx,8), %ebx
    testb $FUNCTION, M(%rbx)
    je 9f
    movq %rbx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rbx
    jmpq *SPILL_TARGET(%rsp)
depth_0_4:
    movq %rbp, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%ebp,8), %ebp
    testb $FUNCTION, M(%rbp)
    je 9f
    movq %rbp, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rbp
    jmpq *SPILL_TARGET(%rsp)
depth_0_5:
    movq %rsi, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%esi,8), %esi
    testb $FUNCTION, M(%rsi)
    je 9f
    movq %rsi, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rsi
    jmpq *SPILL_TARGET(%rsp)
depth_0_6:
    movq %rdi, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%edi,8), %edi
    testb $FUNCTION, M(%rdi)
    je 9f
    movq %rdi, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rdi
    jmpq *SPILL_TARGET(%rsp)
depth_0_7:
    movq %r8, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%r8d,8), %r8d
    testb $FUNCTION, M(%r8)
    je 9f
    movq %r8, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r8
    jmpq *SPILL_TARGET(%rsp)
depth_0_8:
    movq %r9, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%r9d,8), %r9d
    testb $FUNCTION, M(%r9)
    je 9f
    movq %r9, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r9
    jmpq *SPILL_TARGET(%rsp)
depth_0_9:
    movq %r10, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%r10d,8), %r10d
    testb $FUNCTION, M(%r10)
    je 9f
    movq %r10, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r10
    jmpq *SPILL_TARGET(%rsp)
depth_0_10:
    movq %r11, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%r11d,8), %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    jmpq *SPILL_TARGET(%rsp)
depth_0_11:
    movq %r12, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%r12d,8), %r12d
    testb $FUNCTION, M(%r12)
    je 9f
    movq %r12, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r12
    jmpq *SPILL_TARGET(%rsp)
depth_0_12:
    movq %r13, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%r13d,8), %r13d
    testb $FUNCTION, M(%r13)
    je 9f
    movq %r13, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r13
    jmpq *SPILL_TARGET(%rsp)
depth_0_13:
    movq %r14, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%r14d,8), %r14d
    testb $FUNCTION, M(%r14)
    je 9f
    movq %r14, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r14
    jmpq *SPILL_TARGET(%rsp)
depth_0_14:
    movq %r15, SPILL_REGISTER(%rsp)
    movl %gs:0x5000000(,%r15d,8), %r15d
    testb $FUNCTION, M(%r15)
    je 9f
    movq %r15, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r15
    jmpq *SPILL_TARGET(%rsp)
depth_0_15:
9:
    hlt
