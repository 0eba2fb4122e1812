# The jump is a branch, and its read of the table no access near the stack.
# table-entries: 2
# isolation: data
    subq $64, %rsp
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
