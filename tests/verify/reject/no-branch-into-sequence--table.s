# A branch skips the comparison, so that any index passes.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
2:  jmpq *table(,%eax,8)
    jmp 2b
    hlt
1:  nop
3:  hlt
table:
    .quad 1b, 3b
