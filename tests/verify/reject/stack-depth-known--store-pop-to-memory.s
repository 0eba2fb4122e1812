# A pop writes to its operand after it has moved rsp.
# base: twin
    .globl f
f: pushq %rdi
    popq (%rsp)
    retq
