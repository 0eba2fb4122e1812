# A prefetch never faults.
# isolation: data
1:
    subq $4096, %rsp
    prefetcht0 (%rsp)
    jmp 1b
    hlt
