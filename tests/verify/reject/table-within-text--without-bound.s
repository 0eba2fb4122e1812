# Without a bound the jump reads any host address below 2^63 and goes where that says.
# table-entries: 2
    jmpq *table(,%eax,8)
1:
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
