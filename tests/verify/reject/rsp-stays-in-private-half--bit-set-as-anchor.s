# No table names bit instructions as anchors.
# isolation: data
1:
    addq $REACH, %rsp
    btsl $3, (%rsp)
    jmp 1b
    hlt
