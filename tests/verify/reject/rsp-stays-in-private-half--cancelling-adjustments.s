# The sum is zero, but a loop over the second one is not.
# isolation: data
    subq $64, %rsp
1:
    addq $64, %rsp
    jmp 1b
    hlt
