# Calls and jumps through every register, to functions, and to labels of every depth.
depth_0_rax:
    movl %eax, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    callq *%rax
    movl %eax, %eax
    testb $FUNCTION, M(%rax)
    je 9f
    jmpq *%rax
depth_0_rax_label:
    movl %eax, %eax
    cmpb $LABEL_0, M(%rax)
    jne 9f
    jmpq *%rax
depth_0_rcx:
    movl %ecx, %ecx
    testb $FUNCTION, M(%rcx)
    je 9f
    callq *%rcx
    movl %ecx, %ecx
    testb $FUNCTION, M(%rcx)
    je 9f
    jmpq *%rcx
depth_8_rcx_label:
    movl %ecx, %ecx
    cmpb $LABEL_8, M(%rcx)
    jne 9f
    jmpq *%rcx
depth_0_rdx:
    movl %edx, %edx
    testb $FUNCTION, M(%rdx)
    je 9f
    callq *%rdx
    movl %edx, %edx
    testb $FUNCTION, M(%rdx)
    je 9f
    jmpq *%rdx
depth_24_rdx_label:
    movl %edx, %edx
    cmpb $LABEL_24, M(%rdx)
    jne 9f
    jmpq *%rdx
depth_0_rbx:
    movl %ebx, %ebx
    testb $FUNCTION, M(%rbx)
    je 9f
    callq *%rbx
    movl %ebx, %ebx
    testb $FUNCTION, M(%rbx)
    je 9f
    jmpq *%rbx
depth_56_rbx_label:
    movl %ebx, %ebx
    cmpb $LABEL_56, M(%rbx)
    jne 9f
    jmpq *%rbx
depth_0_rbp:
    movl %ebp, %ebp
    testb $FUNCTION, M(%rbp)
    je 9f
    callq *%rbp
    movl %ebp, %ebp
    testb $FUNCTION, M(%rbp)
    je 9f
    jmpq *%rbp
depth_88_rbp_label:
    movl %ebp, %ebp
    cmpb $LABEL_88, M(%rbp)
    jne 9f
    jmpq *%rbp
depth_0_rsi:
    movl %esi, %esi
    testb $FUNCTION, M(%rsi)
    je 9f
    callq *%rsi
    movl %esi, %esi
    testb $FUNCTION, M(%rsi)
    je 9f
    jmpq *%rsi
depth_120_rsi_label:
    movl %esi, %esi
    cmpb $LABEL_120, M(%rsi)
    jne 9f
    jmpq *%rsi
depth_0_rdi:
    movl %edi, %edi
    testb $FUNCTION, M(%rdi)
    je 9f
    callq *%rdi
    movl %edi, %edi
    testb $FUNCTION, M(%rdi)
    je 9f
    jmpq *%rdi
depth_152_rdi_label:
    movl %edi, %edi
    cmpb $LABEL_152, M(%rdi)
    jne 9f
    jmpq *%rdi
depth_0_r8:
    movl %r8d, %r8d
    testb $FUNCTION, M(%r8)
    je 9f
    callq *%r8
    movl %r8d, %r8d
    testb $FUNCTION, M(%r8)
    je 9f
    jmpq *%r8
depth_184_r8_label:
    movl %r8d, %r8d
    cmpb $LABEL_184, M(%r8)
    jne 9f
    jmpq *%r8
depth_0_r9:
    movl %r9d, %r9d
    testb $FUNCTION, M(%r9)
    je 9f
    callq *%r9
    movl %r9d, %r9d
    testb $FUNCTION, M(%r9)
    je 9f
    jmpq *%r9
depth_216_r9_label:
    movl %r9d, %r9d
    cmpb $LABEL_216, M(%r9)
    jne 9f
    jmpq *%r9
depth_0_r10:
    movl %r10d, %r10d
    testb $FUNCTION, M(%r10)
    je 9f
    callq *%r10
    movl %r10d, %r10d
    testb $FUNCTION, M(%r10)
    je 9f
    jmpq *%r10
depth_248_r10_label:
    movl %r10d, %r10d
    cmpb $LABEL_248, M(%r10)
    jne 9f
    jmpq *%r10
depth_0_r11:
    movl %r11d, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    callq *%r11
    movl %r11d, %r11d
    testb $FUNCTION, M(%r11)
    je 9f
    jmpq *%r11
depth_312_r11_label:
    movl %r11d, %r11d
    cmpb $LABEL_312, M(%r11)
    jne 9f
    jmpq *%r11
depth_0_r12:
    movl %r12d, %r12d
    testb $FUNCTION, M(%r12)
    je 9f
    callq *%r12
    movl %r12d, %r12d
    testb $FUNCTION, M(%r12)
    je 9f
    jmpq *%r12
depth_440_r12_label:
    movl %r12d, %r12d
    cmpb $LABEL_440, M(%r12)
    jne 9f
    jmpq *%r12
depth_0_r13:
    movl %r13d, %r13d
    testb $FUNCTION, M(%r13)
    je 9f
    callq *%r13
    movl %r13d, %r13d
    testb $FUNCTION, M(%r13)
    je 9f
    jmpq *%r13
depth_824_r13_label:
    movl %r13d, %r13d
    cmpb $LABEL_824, M(%r13)
    jne 9f
    jmpq *%r13
depth_0_r14:
    movl %r14d, %r14d
    testb $FUNCTION, M(%r14)
    je 9f
    callq *%r14
    movl %r14d, %r14d
    testb $FUNCTION, M(%r14)
    je 9f
    jmpq *%r14
depth_1592_r14_label:
    movl %r14d, %r14d
    cmpb $LABEL_1592, M(%r14)
    jne 9f
    jmpq *%r14
depth_0_r15:
    movl %r15d, %r15d
    testb $FUNCTION, M(%r15)
    je 9f
    callq *%r15
    movl %r15d, %r15d
    testb $FUNCTION, M(%r15)
    je 9f
    jmpq *%r15
depth_4152_r15_label:
    movl %r15d, %r15d
    cmpb $LABEL_4152, M(%r15)
    jne 9f
    jmpq *%r15
depth_0_end:
9:
    hlt
