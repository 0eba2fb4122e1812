# With the base in r15: through every register but r14 and r15, forgotten or kept, with every mask.
# base: r15
    movl %eax, %eax
    testb $8, M(%rax)
    je 9f
    callq *%rax
    movl %eax, %eax
    testb $8, M(%rax)
    je 9f
    jmpq *%rax
    movq %rax, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %eax
    testb $8, M(%rax)
    je 9f
    movq %rax, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rax
    jmpq *SPILL_TARGET(%rsp)
    movl %ecx, %ecx
    testb $16, M(%rcx)
    je 9f
    callq *%rcx
    movl %ecx, %ecx
    testb $16, M(%rcx)
    je 9f
    jmpq *%rcx
    movq %rcx, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %ecx
    testb $16, M(%rcx)
    je 9f
    movq %rcx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rcx
    jmpq *SPILL_TARGET(%rsp)
    movl %edx, %edx
    testb $24, M(%rdx)
    je 9f
    callq *%rdx
    movl %edx, %edx
    testb $24, M(%rdx)
    je 9f
    jmpq *%rdx
    movq %rdx, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %edx
    testb $24, M(%rdx)
    je 9f
    movq %rdx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rdx
    jmpq *SPILL_TARGET(%rsp)
    movl %ebx, %ebx
    testb $32, M(%rbx)
    je 9f
    callq *%rbx
    movl %ebx, %ebx
    testb $32, M(%rbx)
    je 9f
    jmpq *%rbx
    movq %rbx, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %ebx
    testb $32, M(%rbx)
    je 9f
    movq %rbx, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rbx
    jmpq *SPILL_TARGET(%rsp)
    movl %ebp, %ebp
    testb $40, M(%rbp)
    je 9f
    callq *%rbp
    movl %ebp, %ebp
    testb $40, M(%rbp)
    je 9f
    jmpq *%rbp
    movq %rbp, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %ebp
    testb $40, M(%rbp)
    je 9f
    movq %rbp, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rbp
    jmpq *SPILL_TARGET(%rsp)
    movl %esi, %esi
    testb $48, M(%rsi)
    je 9f
    callq *%rsi
    movl %esi, %esi
    testb $48, M(%rsi)
    je 9f
    jmpq *%rsi
    movq %rsi, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %esi
    testb $48, M(%rsi)
    je 9f
    movq %rsi, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rsi
    jmpq *SPILL_TARGET(%rsp)
    movl %edi, %edi
    testb $56, M(%rdi)
    je 9f
    callq *%rdi
    movl %edi, %edi
    testb $56, M(%rdi)
    je 9f
    jmpq *%rdi
    movq %rdi, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %edi
    testb $56, M(%rdi)
    je 9f
    movq %rdi, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %rdi
    jmpq *SPILL_TARGET(%rsp)
    movl %r8d, %r8d
    testb $8, M(%r8)
    je 9f
    callq *%r8
    movl %r8d, %r8d
    testb $8, M(%r8)
    je 9f
    jmpq *%r8
    movq %r8, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %r8d
    testb $8, M(%r8)
    je 9f
    movq %r8, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r8
    jmpq *SPILL_TARGET(%rsp)
    movl %r9d, %r9d
    testb $16, M(%r9)
    je 9f
    callq *%r9
    movl %r9d, %r9d
    testb $16, M(%r9)
    je 9f
    jmpq *%r9
    movq %r9, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %r9d
    testb $16, M(%r9)
    je 9f
    movq %r9, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r9
    jmpq *SPILL_TARGET(%rsp)
    movl %r10d, %r10d
    testb $24, M(%r10)
    je 9f
    callq *%r10
    movl %r10d, %r10d
    testb $24, M(%r10)
    je 9f
    jmpq *%r10
    movq %r10, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %r10d
    testb $24, M(%r10)
    je 9f
    movq %r10, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r10
    jmpq *SPILL_TARGET(%rsp)
    movl %r11d, %r11d
    testb $32, M(%r11)
    je 9f
    callq *%r11
    movl %r11d, %r11d
    testb $32, M(%r11)
    je 9f
    jmpq *%r11
    movq %r11, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %r11d
    testb $32, M(%r11)
    je 9f
    movq %r11, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r11
    jmpq *SPILL_TARGET(%rsp)
    movl %r12d, %r12d
    testb $40, M(%r12)
    je 9f
    callq *%r12
    movl %r12d, %r12d
    testb $40, M(%r12)
    je 9f
    jmpq *%r12
    movq %r12, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %r12d
    testb $40, M(%r12)
    je 9f
    movq %r12, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r12
    jmpq *SPILL_TARGET(%rsp)
    movl %r13d, %r13d
    testb $48, M(%r13)
    je 9f
    callq *%r13
    movl %r13d, %r13d
    testb $48, M(%r13)
    je 9f
    jmpq *%r13
    movq %r13, SPILL_REGISTER(%rsp)
    movl 8(%rsp), %r13d
    testb $48, M(%r13)
    je 9f
    movq %r13, SPILL_TARGET(%rsp)
    movq SPILL_REGISTER(%rsp), %r13
    jmpq *SPILL_TARGET(%rsp)
9:
    hlt
