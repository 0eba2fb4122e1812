# As an unsigned number the bound is 2^64 - 1: every index passes.
# table-entries: 2
    cmpq $-1, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
