# The jump reads host memory.
# table-entries: 2
# base: r15
    jmpq *table(,%eax,8)
1:  hlt
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
