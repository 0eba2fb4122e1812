# A call is no jump: its return address would be in no sequence.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    callq *table(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
