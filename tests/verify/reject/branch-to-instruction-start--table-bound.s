# The branch of the sequence itself goes into the tables.
# table-entries: 2
    cmpq $1, %rax
    ja table
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
