# Who knows what is in the other register.
# table-entries: 2
    cmpq %rcx, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
