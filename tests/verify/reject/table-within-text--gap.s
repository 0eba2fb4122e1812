# An instruction between changes the index.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    addq %rcx, %rax
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
