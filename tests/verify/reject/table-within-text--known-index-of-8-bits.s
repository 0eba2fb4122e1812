# A write of the lowest byte leaves what is above.
# table-entries: 4
    andb $3, %al
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
