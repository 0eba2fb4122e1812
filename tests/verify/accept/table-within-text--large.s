# Bounds of four bytes, and a table within a table.
# table-entries: 201
    cmpq $199, %rax
    ja 1f
    jmpq *table(,%eax,8)
    cmpq $200, %rcx
    ja 1f
    jmpq *table(,%ecx,8)
    cmpq $0, %rcx
    ja 1f
    jmpq *table+1600(,%ecx,8)
    hlt
1:  hlt
table:
    .rept 201
    .quad 1b
    .endr
