# A vector of indices, with 67: no proof that each sum is truncated.
    vpgatherdd %ymm0, %gs:(%eax,%ymm1), %ymm2
    hlt
