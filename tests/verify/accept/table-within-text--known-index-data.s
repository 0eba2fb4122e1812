# Without control isolation as well.
# table-entries: 4
# isolation: data
    andl $3, %edx
    jmpq *table(,%edx,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
