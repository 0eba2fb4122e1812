# There is no such call: its return address would be in no sequence.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    callq *%gs:table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
