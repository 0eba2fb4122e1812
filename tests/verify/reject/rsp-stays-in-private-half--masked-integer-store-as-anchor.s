# The same with an integer store.
# isolation: data
1:
    subq $4096, %rsp
    vpmaskmovq %ymm0, %ymm1, (%rsp)
    jmp 1b
    hlt
