# The largest bound: 16 GiB from the table on.
# table-entries: 2
    cmpq $0x7fffffff, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
