# A rotation by zero may leave its operand alone.
# isolation: data
1:
    addq $REACH, %rsp
    rolq %cl, (%rsp)
    jmp 1b
    hlt
