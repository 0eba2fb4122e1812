# rsp from memory.
    popq %rsp
    hlt
