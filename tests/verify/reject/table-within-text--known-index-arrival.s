# Who branches to the jump has made nothing small.
# table-entries: 4
    andl $3, %eax
3:  jmpq *table(,%eax,8)
    hlt
    jmp 3b
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
