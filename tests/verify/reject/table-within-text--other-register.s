# The bound is on another register.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%ecx,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
