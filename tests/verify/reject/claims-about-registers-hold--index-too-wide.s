# Who branches there brings more bits than the claim has, by which the jump would be bounded.
# table-entries: 4
    andl $7, %eax
    jmp 3f
    .p2align 4, 0x90
3:
fact_rax_2_3:
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 1b, 2b
