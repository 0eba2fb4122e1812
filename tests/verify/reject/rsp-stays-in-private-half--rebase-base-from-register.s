# A base at an address that the attacker chooses.
    movl %eax, %esp
    btrl $31, %esp
    addq %gs:(%ecx), %rsp
    hlt
