# A base at an address that the attacker chooses.
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:(%ecx), %rsp
    hlt
