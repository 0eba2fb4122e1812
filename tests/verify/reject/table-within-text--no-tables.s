# The text claims no tables, so nobody looked at these bytes as one.
# table-entries: 0
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
