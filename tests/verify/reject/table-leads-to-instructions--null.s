# A table with a gap.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
1:  hlt
table:
    .quad 1b, 0
