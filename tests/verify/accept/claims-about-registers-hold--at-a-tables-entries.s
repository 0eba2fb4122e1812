# table-entries: 3
# All jumps that can read an entry come with what is claimed of its instruction.
    movq %gs:BASE, %r11
    cmpq $1, %rax
    ja 9f
    jmpq *table(,%eax,8)
9:
    hlt
1:
fact_r11_base_1:
    movl 8(%r11), %eax
    cmpq $1, %rax
    ja 9b
    jmpq *table(,%eax,8)
2:
fact_r11_base_2:
    movl 16(%r11), %eax
    movl 16(%r11), %r11d
    cmpq $0, %rax
    ja 9b
    jmpq *table+16(,%eax,8)
    .p2align 3, 0xf4
table:
    .quad 1b
    .quad 2b
    .quad 9b
