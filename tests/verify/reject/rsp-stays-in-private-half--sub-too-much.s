# The same downwards.
    subq $REACH+8, %rsp
    pushq %rax
    hlt
