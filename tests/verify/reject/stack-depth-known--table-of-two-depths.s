# One entry of a table has another depth.
# base: twin
# table-entries: 2
    .globl f
f: cmpq $1, %rdi
    ja 9f
    jmp *table(,%edi,8)
depth_0:
one: retq
depth_8:
two: popq %rax
    retq
9:  hlt
table: .quad one, two
