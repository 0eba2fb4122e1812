# The same with lea.
# isolation: data
    leaq -REACH-8(%rsp), %rsp
    pushq %rax
    hlt
