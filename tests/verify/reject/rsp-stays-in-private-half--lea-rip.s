# rsp into the text.
    leaq 8(%rip), %rsp
    hlt
