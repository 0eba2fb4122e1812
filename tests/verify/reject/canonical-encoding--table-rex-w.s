# A size that the jump has anyway.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    .byte 0x48
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
