# Nor where the compiler is trusted with control: the jump would read host memory.
# table-entries: 2
# isolation: data
    jmpq *table(,%eax,8)
1:
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
