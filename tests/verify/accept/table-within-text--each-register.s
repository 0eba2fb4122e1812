# The index is in any register but rsp.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%rax,8)
    cmpq $1, %rcx
    ja 1f
    jmpq *table(,%rcx,8)
    cmpq $1, %rdx
    ja 1f
    jmpq *table(,%rdx,8)
    cmpq $1, %rbx
    ja 1f
    jmpq *table(,%rbx,8)
    cmpq $1, %rbp
    ja 1f
    jmpq *table(,%rbp,8)
    cmpq $1, %rsi
    ja 1f
    jmpq *table(,%rsi,8)
    cmpq $1, %rdi
    ja 1f
    jmpq *table(,%rdi,8)
    cmpq $1, %r8
    ja 1f
    jmpq *table(,%r8,8)
    cmpq $1, %r9
    ja 1f
    jmpq *table(,%r9,8)
    cmpq $1, %r10
    ja 1f
    jmpq *table(,%r10,8)
    cmpq $1, %r11
    ja 1f
    jmpq *table(,%r11,8)
    cmpq $1, %r12
    ja 1f
    jmpq *table(,%r12,8)
    cmpq $1, %r13
    ja 1f
    jmpq *table(,%r13,8)
    cmpq $1, %r14
    ja 1f
    jmpq *table(,%r14,8)
    cmpq $1, %r15
    ja 1f
    jmpq *table(,%r15,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
