# The branch comes first and looks at older flags.
# table-entries: 2
    ja 1f
    cmpq $1, %rax
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
