# The comparison looks at 32 of the 64 bits that the jump uses.
# table-entries: 2
    cmpl $1, %eax
    ja 1f
    jmpq *table(,%rax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
