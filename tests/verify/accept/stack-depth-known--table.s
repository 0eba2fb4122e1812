# base: twin
# table-entries: 2
# A jump through a table has the depth that all entries have which it can read.
    .globl f
f:
    pushq %rbx
    cmpq $1, %rdi
    ja 9f
    jmp *table(,%edi,8)
depth_8:
one:
    popq %rbx
    retq
two:
    popq %rax
    retq
9:
    hlt
table:
    .quad one, two
