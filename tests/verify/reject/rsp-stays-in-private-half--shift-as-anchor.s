# A shift by zero may leave its operand alone.
# isolation: data
1:
    subq $4096, %rsp
    shlq %cl, (%rsp)
    jmp 1b
    hlt
