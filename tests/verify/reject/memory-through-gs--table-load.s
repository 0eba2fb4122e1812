# Only jumps read tables.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    movq table(,%eax,8), %rcx
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
