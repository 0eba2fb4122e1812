# A claimed label skips the comparison.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
label_skips:
    jmpq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
