# As a signed number a negative index is below the bound.
# table-entries: 2
    cmpq $1, %rax
    jg 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
