# Calls and jumps through every register, with every mask.
# isolation: data
    movl %eax, %eax
    testb $1, M(%rax)
    je 9f
    callq *%rax
    movl %eax, %eax
    testb $1, M(%rax)
    je 9f
    jmpq *%rax
    movl %ecx, %ecx
    testb $2, M(%rcx)
    je 9f
    callq *%rcx
    movl %ecx, %ecx
    testb $2, M(%rcx)
    je 9f
    jmpq *%rcx
    movl %edx, %edx
    testb $3, M(%rdx)
    je 9f
    callq *%rdx
    movl %edx, %edx
    testb $3, M(%rdx)
    je 9f
    jmpq *%rdx
    movl %ebx, %ebx
    testb $4, M(%rbx)
    je 9f
    callq *%rbx
    movl %ebx, %ebx
    testb $4, M(%rbx)
    je 9f
    jmpq *%rbx
    movl %ebp, %ebp
    testb $5, M(%rbp)
    je 9f
    callq *%rbp
    movl %ebp, %ebp
    testb $5, M(%rbp)
    je 9f
    jmpq *%rbp
    movl %esi, %esi
    testb $6, M(%rsi)
    je 9f
    callq *%rsi
    movl %esi, %esi
    testb $6, M(%rsi)
    je 9f
    jmpq *%rsi
    movl %edi, %edi
    testb $7, M(%rdi)
    je 9f
    callq *%rdi
    movl %edi, %edi
    testb $7, M(%rdi)
    je 9f
    jmpq *%rdi
    movl %r8d, %r8d
    testb $1, M(%r8)
    je 9f
    callq *%r8
    movl %r8d, %r8d
    testb $1, M(%r8)
    je 9f
    jmpq *%r8
    movl %r9d, %r9d
    testb $2, M(%r9)
    je 9f
    callq *%r9
    movl %r9d, %r9d
    testb $2, M(%r9)
    je 9f
    jmpq *%r9
    movl %r10d, %r10d
    testb $3, M(%r10)
    je 9f
    callq *%r10
    movl %r10d, %r10d
    testb $3, M(%r10)
    je 9f
    jmpq *%r10
    movl %r11d, %r11d
    testb $4, M(%r11)
    je 9f
    callq *%r11
    movl %r11d, %r11d
    testb $4, M(%r11)
    je 9f
    jmpq *%r11
    movl %r12d, %r12d
    testb $5, M(%r12)
    je 9f
    callq *%r12
    movl %r12d, %r12d
    testb $5, M(%r12)
    je 9f
    jmpq *%r12
    movl %r13d, %r13d
    testb $6, M(%r13)
    je 9f
    callq *%r13
    movl %r13d, %r13d
    testb $6, M(%r13)
    je 9f
    jmpq *%r13
    movl %r14d, %r14d
    testb $7, M(%r14)
    je 9f
    callq *%r14
    movl %r14d, %r14d
    testb $7, M(%r14)
    je 9f
    jmpq *%r14
    movl %r15d, %r15d
    testb $1, M(%r15)
    je 9f
    callq *%r15
    movl %r15d, %r15d
    testb $1, M(%r15)
    je 9f
    jmpq *%r15
9:
    hlt
