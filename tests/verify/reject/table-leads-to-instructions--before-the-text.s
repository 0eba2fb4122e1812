# Code of somebody else, perhaps.
# table-entries: 2
3:  cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
1:  hlt
table:
    .quad 1b, 3b-1
