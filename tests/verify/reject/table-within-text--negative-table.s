# The table is at a negative address: 2 GiB below the top of the address space.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *-0x7fff0000(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
