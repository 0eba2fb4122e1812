# A nop with a memory operand accesses nothing.
1:
    subq $4096, %rsp
    nopl (%rsp)
    jmp 1b
    hlt
