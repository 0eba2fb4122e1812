# Any instruction that writes rsp.
# isolation: data
    movsbq %al, %rsp
    hlt
