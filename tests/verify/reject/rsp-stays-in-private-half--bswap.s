# Any instruction that writes rsp.
    bswapq %rsp
    hlt
