# Any instruction that writes rsp.
# isolation: data
    imulq $3, %rax, %rsp
    hlt
