# The same downwards.
# isolation: data
    subq $REACH+8, %rsp
    pushq %rax
    hlt
