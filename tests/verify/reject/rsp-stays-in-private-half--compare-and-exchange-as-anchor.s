# It writes only if the comparison succeeds; no table names it as an anchor.
# isolation: data
1:
    addq $REACH, %rsp
    cmpxchgq %rcx, (%rsp)
    jmp 1b
    hlt
