# A debugger continues after int3.
# isolation: data
1:
    subq $4096, %rsp
    int3
    jmp 1b
    hlt
