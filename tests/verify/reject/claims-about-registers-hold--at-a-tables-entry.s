# table-entries: 2
# One jump through the table comes with the base, the other without.
    movq %gs:BASE, %r11
    cmpq $1, %rax
    ja 9f
    jmpq *table(,%eax,8)
9:
    hlt
1:
fact_r11_base_1:
    movl 8(%r11), %r11d
    cmpq $1, %rax
    ja 9b
    jmpq *table(,%eax,8)
    .p2align 3, 0xf4
table:
    .quad 9b
    .quad 1b
