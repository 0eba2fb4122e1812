# The fourth entry can be read, too.
# table-entries: 4
    movq %gs:BASE, %r11
    andl $3, %eax
    jmpq *table(,%eax,8)
    hlt
1:
fact_r11_base_1:
    movl 8(%r11), %eax
    hlt
2:
fact_r11_base_2:
fact_rcx_3_2:
    movl 16(%r11), %eax
    hlt
    .p2align 3, 0xf4
table:
    .quad 1b, 1b, 1b, 2b
