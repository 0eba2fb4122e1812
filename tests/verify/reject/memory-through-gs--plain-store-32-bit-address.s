# A host address below 4 GiB.
    movq %rcx, (%eax)
    hlt
