# The same by `lea`.
# base: twin
    .globl f
f: leaq 8(%rsp), %rsp
    pushq %rdi
    retq
