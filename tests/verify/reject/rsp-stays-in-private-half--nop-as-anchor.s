# A nop with a memory operand accesses nothing.
# isolation: data
1:
    subq $4096, %rsp
    nopl (%rsp)
    jmp 1b
    hlt
