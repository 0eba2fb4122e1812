# A base at an address that the attacker chooses.
# isolation: data
    movl %eax, %esp
    andl $0x3fffffff, %esp
    addq %gs:(%ecx), %rsp
    hlt
