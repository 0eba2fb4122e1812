# Halves of two entries make an address that nobody verified.
# table-entries: 2
    cmpq $0, %rax
    ja 1f
    jmpq *table+4(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
