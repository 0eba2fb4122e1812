# One entry, always the same: there is no such sequence.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
