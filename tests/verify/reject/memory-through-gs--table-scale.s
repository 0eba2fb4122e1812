# With another scale the index may lie between entries.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,4)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
