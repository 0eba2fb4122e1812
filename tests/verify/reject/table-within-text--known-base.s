# That a register holds the base bounds no index.
# table-entries: 4
    movq %gs:BASE, %rax
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
