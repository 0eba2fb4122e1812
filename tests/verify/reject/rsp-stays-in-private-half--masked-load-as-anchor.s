# A masked load of no lanes accesses nothing and faults nowhere.
# isolation: data
1:
    subq $4096, %rsp
    vmaskmovps (%rsp), %ymm0, %ymm1
    jmp 1b
    hlt
