# Two bits are four entries, of which there are three.
# table-entries: 3
    andl $3, %eax
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b
