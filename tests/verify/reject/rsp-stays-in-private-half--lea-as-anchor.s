# lea accesses nothing.
# isolation: data
1:
    subq $4096, %rsp
    leaq (%rsp), %rax
    jmp 1b
    hlt
