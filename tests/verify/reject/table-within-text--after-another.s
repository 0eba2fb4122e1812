# One comparison, two jumps: the failed branch of the first is the way to the second.
# table-entries: 2
    cmpq $1, %rax
    ja 3f
    jmpq *table(,%eax,8)
3:  jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
