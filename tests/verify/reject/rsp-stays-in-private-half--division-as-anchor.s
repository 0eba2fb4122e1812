# It may fault for its divisor; no table names it as an anchor.
# isolation: data
1:
    addq $REACH, %rsp
    divq (%rsp)
    jmp 1b
    hlt
