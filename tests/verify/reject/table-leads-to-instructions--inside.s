# The entry skips the first byte of an instruction.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
    nop
1:  movl $0x9090f4, %eax
    hlt
table:
    .quad 1b, 1b+1
