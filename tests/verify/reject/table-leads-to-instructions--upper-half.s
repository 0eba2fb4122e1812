# The entry is right but for its upper half.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
1:  hlt
table:
    .long 0
    .long 1
    .quad 1b
