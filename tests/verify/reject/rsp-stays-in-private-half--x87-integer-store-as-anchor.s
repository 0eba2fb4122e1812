# With an exception unmasked it completes without its store: a loop would walk rsp anywhere.
# isolation: data
1:
    addq $REACH, %rsp
    fistpll (%rsp)
    jmp 1b
    hlt
