# Any instruction that writes rsp.
    imulq $3, %rax, %rsp
    hlt
