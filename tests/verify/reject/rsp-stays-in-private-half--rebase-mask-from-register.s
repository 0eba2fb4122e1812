# A mask that the attacker chooses.
# isolation: data
    movl %eax, %esp
    andl %gs:(%ecx), %esp
    addq %gs:RSP_START, %rsp
    hlt
