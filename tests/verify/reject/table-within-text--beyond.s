# One entry more than there is: what follows the text in memory is another module's, or nobody's.
# table-entries: 2
    cmpq $2, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
