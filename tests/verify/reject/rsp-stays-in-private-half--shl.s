# Any instruction that writes rsp.
    shlq $1, %rsp
    hlt
