# Nor has who calls it.
# table-entries: 4
    andl $3, %eax
    .globl f
f:
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
