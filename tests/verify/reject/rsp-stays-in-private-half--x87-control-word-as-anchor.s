# No x87 access is an anchor, not even of the control word.
# isolation: data
1:
    addq $REACH, %rsp
    fnstcw (%rsp)
    jmp 1b
    hlt
