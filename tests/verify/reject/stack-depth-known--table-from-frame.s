# A jump through a table has another depth than its entries.
# base: twin
# table-entries: 2
    .globl f
f: pushq %rdi
    cmpq $1, %rdi
    ja 9f
    jmp *table(,%edi,8)
depth_0:
one: retq
two: retq
9:  hlt
table: .quad one, two
