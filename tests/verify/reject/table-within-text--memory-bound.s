# What was compared is in memory, not the register.
# table-entries: 2
    cmpq $1, %gs:(%eax)
    ja 1f
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
