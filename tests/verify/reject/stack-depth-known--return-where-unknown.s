# Two depths meet.
# base: twin
    .globl f
f: testq %rdi, %rdi
    je 1f
    pushq %rdi
1:  retq
