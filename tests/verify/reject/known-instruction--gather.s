# A vector of 64-bit addresses.
    vpgatherqq %ymm0, %gs:(%rax,%ymm1), %ymm2
    hlt
