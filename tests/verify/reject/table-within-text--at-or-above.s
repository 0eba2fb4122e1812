# `jae` with the operands the other way round would let through what is above.
# table-entries: 2
    cmpq $1, %rax
    jb 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
