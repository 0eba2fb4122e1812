# What holds before the jump may be claimed of all that it can read, and of nothing else.
# table-entries: 4
    movq %gs:BASE, %r11
    andl $1, %eax
    jmpq *table(,%eax,8)
    hlt
1:
fact_r11_base_1:
    movl 8(%r11), %eax
    hlt
2:
fact_r11_base_2:
    movl 16(%r11), %eax
    hlt
3:  nop
    hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 2b, 3b, 3b
