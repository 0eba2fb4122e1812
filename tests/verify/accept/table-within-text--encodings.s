# Of each instruction of the sequence every encoding that assemblers choose.
# table-entries: 2
    cmpq $1, %rax
    .byte 0x0f, 0x87
    .long 1f-.-4
    jmpq *table(,%eax,8)
    .byte 0x48, 0x3d
    .long 1
    ja 1f
    jmpq *table(,%eax,8)
    .byte 0x48, 0x81, 0xf8
    .long 1
    ja 1f
    jmpq *table(,%eax,8)
    .byte 0x49, 0x81, 0xfc
    .long 0
    ja 1f
    jmpq *table+8(,%r12d,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
