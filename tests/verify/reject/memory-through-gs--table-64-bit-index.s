# A CPU that takes the jump before it has compared would read any host address.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%rax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
