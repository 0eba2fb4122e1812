# The table is within the tables, what the index can reach behind it is not.
# table-entries: 4
    andl $3, %eax
    jmpq *table+8(,%eax,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
