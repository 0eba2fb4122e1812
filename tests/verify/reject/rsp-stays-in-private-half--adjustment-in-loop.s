# A branch before any access.
1:
    subq $4096, %rsp
    jne 1b
    hlt
