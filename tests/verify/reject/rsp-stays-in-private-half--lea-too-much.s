# The same with lea.
    leaq -REACH-8(%rsp), %rsp
    pushq %rax
    hlt
