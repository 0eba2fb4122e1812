# The base of the window moves the table into it.
# table-entries: 2
# base: r15
    cmpq $1, %rax
    ja 1f
    jmpq *table(%r15,%rax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
