# base: r15
# With an exception unmasked it completes without its store, wherever the base is.
1:
    addq $REACH, %rsp
    fstps (%rsp)
    jmp 1b
    hlt
