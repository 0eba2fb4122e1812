# gs base plus 64 bits of the attacker's choice.
    movq %gs:(%rax), %rcx
    hlt
