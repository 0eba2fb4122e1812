# A branch skips the comparison, with flags of its own.
# table-entries: 2
3:  cmpq $1, %rax
4:  ja 1f
    jmpq *table(,%eax,8)
    cmpq %rax, %rax
    jmp 4b
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
