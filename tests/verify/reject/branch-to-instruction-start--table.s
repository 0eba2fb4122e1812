# A branch goes into the tables.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
    jmp table
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
