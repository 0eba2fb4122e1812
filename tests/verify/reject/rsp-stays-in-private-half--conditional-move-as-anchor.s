# A conditional load whose condition is false need not load.
# isolation: data
1:
    addq $REACH, %rsp
    cmovel (%rsp), %eax
    jmp 1b
    hlt
