# No x87 access is an anchor, whatever its operation.
# isolation: data
1:
    addq $REACH, %rsp
    fadds (%rsp)
    jmp 1b
    hlt
