# A prefix that CPUs with indirect branch tracking understand.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    .byte 0x3e
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
