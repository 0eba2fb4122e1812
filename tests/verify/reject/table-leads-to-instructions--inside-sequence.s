# The entry skips the load of the base.
# table-entries: 2
# isolation: data
    cmpq $1, %rax
    ja 1f
    jmpq *table(,%eax,8)
1:  movl %edi, %edi
    movq %gs:BASE, %r11
2:  leaq (%r11,%rdi), %rdi
    stosb
    hlt
table:
    .quad 1b, 2b
