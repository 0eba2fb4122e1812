# Any instruction that writes rsp.
    movsbq %al, %rsp
    hlt
