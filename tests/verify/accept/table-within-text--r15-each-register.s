# The index is in any register but rsp; all of it is compared, or the half that is used.
# table-entries: 2
# base: r15
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
    cmpq $1, %rcx
    ja 1f
    jmpq *table(,%ecx,8)
    cmpq $1, %rdx
    ja 1f
    jmpq *table(,%edx,8)
    cmpq $1, %rbx
    ja 1f
    jmpq *table(,%ebx,8)
    cmpq $1, %rbp
    ja 1f
    jmpq *table(,%ebp,8)
    cmpq $1, %rsi
    ja 1f
    jmpq *table(,%esi,8)
    cmpq $1, %rdi
    ja 1f
    jmpq *table(,%edi,8)
    cmpq $1, %r8
    ja 1f
    jmpq *table(,%r8d,8)
    cmpq $1, %r9
    ja 1f
    jmpq *table(,%r9d,8)
    cmpq $1, %r10
    ja 1f
    jmpq *table(,%r10d,8)
    cmpq $1, %r11
    ja 1f
    jmpq *table(,%r11d,8)
    cmpq $1, %r12
    ja 1f
    jmpq *table(,%r12d,8)
    cmpq $1, %r13
    ja 1f
    jmpq *table(,%r13d,8)
    cmpq $1, %r14
    ja 1f
    jmpq *table(,%r14d,8)
    cmpq $1, %r15
    ja 1f
    jmpq *table(,%r15d,8)
    cmpl $1, %eax
    ja 1f
    jmpq *table(,%eax,8)
    cmpl $1, %ecx
    ja 1f
    jmpq *table(,%ecx,8)
    cmpl $1, %edx
    ja 1f
    jmpq *table(,%edx,8)
    cmpl $1, %ebx
    ja 1f
    jmpq *table(,%ebx,8)
    cmpl $1, %ebp
    ja 1f
    jmpq *table(,%ebp,8)
    cmpl $1, %esi
    ja 1f
    jmpq *table(,%esi,8)
    cmpl $1, %edi
    ja 1f
    jmpq *table(,%edi,8)
    cmpl $1, %r8d
    ja 1f
    jmpq *table(,%r8d,8)
    cmpl $1, %r9d
    ja 1f
    jmpq *table(,%r9d,8)
    cmpl $1, %r10d
    ja 1f
    jmpq *table(,%r10d,8)
    cmpl $1, %r11d
    ja 1f
    jmpq *table(,%r11d,8)
    cmpl $1, %r12d
    ja 1f
    jmpq *table(,%r12d,8)
    cmpl $1, %r13d
    ja 1f
    jmpq *table(,%r13d,8)
    cmpl $1, %r14d
    ja 1f
    jmpq *table(,%r14d,8)
    cmpl $1, %r15d
    ja 1f
    jmpq *table(,%r15d,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
