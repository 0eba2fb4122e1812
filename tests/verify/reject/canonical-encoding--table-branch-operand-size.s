# Some CPUs would take 16 bits of the branch, and the instruction for shorter.
# table-entries: 2
    cmpq $1, %rax
    .byte 0x66, 0x0f, 0x87
    .long 1f-.-4
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
