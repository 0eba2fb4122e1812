# Nothing is known of rsp where two depths meet.
# base: twin
    .globl f
f: testq %rdi, %rdi
    je 1f
    pushq %rdi
1:  movq %rdi, -8(%rsp)
    hlt
