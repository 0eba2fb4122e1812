# A call before the tables returns into them.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
1:  nop
2:  call 1b
table:
    .quad 1b, 2b
