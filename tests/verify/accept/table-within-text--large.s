# Bounds of four bytes, and a table within a table.
# table-entries: 201
    cmpq $199, %rax
    ja 1f
    jmpq *table(,%rax,8)
    cmpq $200, %rcx
    ja 1f
    jmpq *table(,%rcx,8)
    cmpq $0, %rcx
    ja 1f
    jmpq *table+1600(,%rcx,8)
    hlt
1:  hlt
table:
    .rept 201
    .quad 1b
    .endr
