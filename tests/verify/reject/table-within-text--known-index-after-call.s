# A call leaves nothing known.
# table-entries: 4
    andl $3, %ebx
    call 3f
    jmpq *table(,%ebx,8)
    hlt
3:  ret
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
