# The largest that a table is filled up for.
# table-entries: 256
    movzbl %gs:(%edi), %ecx
    incq %rdi
    jmpq *table(,%ecx,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .rept 128
    .quad 1b, 2b
    .endr
