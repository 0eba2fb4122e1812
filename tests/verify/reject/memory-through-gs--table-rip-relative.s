# Not absolute and without an index: eight bytes of anywhere near the text.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(%rip)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
