# Some CPUs would take 16 bits of the entry.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    .byte 0x66
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
