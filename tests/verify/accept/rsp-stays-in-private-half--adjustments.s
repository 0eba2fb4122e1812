# Adjustments up to STACK_REACH, each anchored before a branch.
# isolation: data
1:
    subq $REACH, %rsp
    cmpl %eax, (%rsp)
    jne 1b
    addq $256, %rsp
    leaq -256(%rsp), %rsp
    andq $-64, %rsp
    popq %rax
    subq $24, %rsp
    callq 1b
    subq $-128, %rsp
    pushq $5
    jmp 1b
    subq $24, %rsp
    ud2
2:
    jmp 1b
