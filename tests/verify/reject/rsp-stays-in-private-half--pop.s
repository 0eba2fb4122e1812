# rsp from memory.
# isolation: data
    popq %rsp
    hlt
