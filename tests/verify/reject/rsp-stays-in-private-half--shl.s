# Any instruction that writes rsp.
# isolation: data
    shlq $1, %rsp
    hlt
