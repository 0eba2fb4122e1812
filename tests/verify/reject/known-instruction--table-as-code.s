# Fewer entries are claimed than there are: the first one has to be code.
# table-entries: 1
    cmpq $0, %rax
    ja 1f
    jmpq *table+8(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 0x0606060606060606, 2b
