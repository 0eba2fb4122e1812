# More than STACK_REACH at once jumps over the guard.
    addq $REACH+1, %rsp
    pushq %rax
    hlt
