# A claimed target is in the tables.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
label_in_table:
    .quad 1b, 2b
