# A subtraction leaves the flags of the comparison, but another index.
# table-entries: 2
    subq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
