# An entry may lead to the first instruction of a sequence, and entries may be alike.
# table-entries: 4
# isolation: data
    cmpq $3, %rax
    ja 2f
    jmpq *table(,%eax,8)
1:  movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    stosb
2:  cmpq $3, %rax
    ja 2b
    jmpq *table(,%eax,8)
table:
    .quad 1b, 2b, 2b, 1b
