# No bound lets a jump read the last entry. It is refused all the same: another jump could.
# table-entries: 2
    cmpq $0, %rax
    ja 1f
    jmpq *table(,%eax,8)
1:  hlt
table:
    .quad 1b, 1b+1
