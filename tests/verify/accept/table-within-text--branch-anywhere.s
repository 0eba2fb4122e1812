# The failed branch may go to any instruction: another jump, or the sequence itself.
# table-entries: 2
3:  cmpq $1, %rax
    ja 3b
    jmpq *table(,%eax,8)
    cmpq $1, %rcx
    ja 3b
    jmpq *table(,%ecx,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
