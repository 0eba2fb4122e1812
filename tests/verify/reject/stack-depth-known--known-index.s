# All that the jump can read has its depth.
# table-entries: 4
    subq $8, %rsp
depth_8_1:
    andl $3, %eax
    jmpq *table(,%eax,8)
depth_0_2:
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 1b, 1b, 2b
