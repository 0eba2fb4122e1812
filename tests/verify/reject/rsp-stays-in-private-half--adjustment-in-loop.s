# A branch before any access.
# isolation: data
1:
    subq $4096, %rsp
    jne 1b
    hlt
