# A shift by zero may leave its operand alone.
# isolation: data
1:
    addq $REACH, %rsp
    shldq %cl, %rax, (%rsp)
    jmp 1b
    hlt
