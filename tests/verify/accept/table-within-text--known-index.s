# Without a bound: as many entries as the index can have values, by what has made it.
# table-entries: 4
    andl $3, %eax
    jmpq *table(,%eax,8)
    shrl $30, %ecx
    jmpq *table(,%ecx,8)
    shrq $62, %r8
    nop
    jmpq *table(,%r8d,8)
    andl $1, %r12d
    movl %r12d, %gs:8(%r12d)
    jmpq *table+16(,%r12d,8)
    andl $0, %edx
    jmpq *table+24(,%edx,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
