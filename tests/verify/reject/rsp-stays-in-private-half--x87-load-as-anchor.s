# With an exception pending it may complete nothing; no x87 access is an anchor.
# isolation: data
1:
    addq $REACH, %rsp
    fldl (%rsp)
    jmp 1b
    hlt
