# The comparison looks at 8 of the 64 bits.
# table-entries: 2
    cmpb $1, %al
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
