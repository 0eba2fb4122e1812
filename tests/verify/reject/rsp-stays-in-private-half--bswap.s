# Any instruction that writes rsp.
# isolation: data
    bswapq %rsp
    hlt
