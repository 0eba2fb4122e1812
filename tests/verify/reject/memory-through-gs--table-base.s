# A base register moves the table.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(%ecx,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
