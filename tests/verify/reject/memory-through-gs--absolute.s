# A host address below 2 GiB.
    movq 0x1000, %rcx
    hlt
