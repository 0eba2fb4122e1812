# A conditional move may leave the upper half as it was, or take another value.
# table-entries: 4
    andl $3, %eax
    cmovel %ecx, %eax
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
