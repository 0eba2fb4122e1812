# Small steps without an access add up.
    subq $REACH, %rsp
    subq $8, %rsp
    pushq %rax
    hlt
