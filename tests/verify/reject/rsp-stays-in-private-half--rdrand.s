# rsp at random.
    rdrandq %rsp
    hlt
