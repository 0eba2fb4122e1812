# rsp at random.
# isolation: data
    rdrandq %rsp
    hlt
