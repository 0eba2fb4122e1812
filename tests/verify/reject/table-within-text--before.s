# The entry in front of the first is code, which an attacker chose: an address anywhere.
# table-entries: 2
    cmpq $1, %rax
    ja 1f
    jmpq *table-8(,%eax,8)
    hlt
1:  nop
2:  hlt
table:
    .quad 1b, 2b
