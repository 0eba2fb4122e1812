# Its own branch leads to the jump: every index passes.
# table-entries: 2
    cmpq $1, %rax
    ja 3f
3:  jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
