# A base at an address that the attacker chooses.
# isolation: data
    movl %eax, %esp
    andl %gs:RSP_MASK, %esp
    addq %gs:(%ecx), %rsp
    hlt
