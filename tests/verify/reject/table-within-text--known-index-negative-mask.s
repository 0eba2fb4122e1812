# A mask of -1 leaves all bits.
# table-entries: 4
    andl $-1, %eax
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
