# The same in four bytes.
# table-entries: 2
    cmpq $-200, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
