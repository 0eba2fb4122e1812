# table-entries: 2
# A jump through a table arrives without the base.
    cmpq $1, %rax
    ja 9f
    jmpq *table(,%eax,8)
9:
    hlt
    movq %gs:BASE, %r11
1:
    movl 8(%r11), %eax
    hlt
    .p2align 3, 0xf4
table:
    .quad 1b
    .quad 9b
