# The stack pointer with a bound is no index.
# table-entries: 2
    cmpq $1, %rsp
    ja 1f
    jmpq *table(%rsp)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
