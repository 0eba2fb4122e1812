# More than STACK_REACH at once jumps over the guard.
# isolation: data
    addq $REACH+1, %rsp
    pushq %rax
    hlt
