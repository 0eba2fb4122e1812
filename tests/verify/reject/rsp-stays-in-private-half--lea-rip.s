# rsp into the text.
# isolation: data
    leaq 8(%rip), %rsp
    hlt
