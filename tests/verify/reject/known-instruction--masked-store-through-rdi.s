# maskmovdqu writes through rdi, which no operand shows.
    maskmovdqu %xmm0, %xmm1
    hlt
