# A table is no memory of the window: r15 has no part in it.
# table-entries: 2
# base: r15
    cmpq $1, %rdx
    ja 1f
    jmpq *table(,%edx,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
