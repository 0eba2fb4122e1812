# Without control isolation as well, since the jump reads host memory.
# table-entries: 2
# isolation: data
    cmpq $1, %rdx
    ja 1f
    jmpq *table(,%edx,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
