# A mask that the attacker chooses.
    movl %eax, %esp
    andl %gs:(%ecx), %esp
    addq %gs:RSP_START, %rsp
    hlt
