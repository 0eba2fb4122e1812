# Small steps without an access add up.
# isolation: data
    subq $REACH, %rsp
    subq $8, %rsp
    pushq %rax
    hlt
