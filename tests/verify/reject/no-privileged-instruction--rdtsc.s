# A fine clock is what timing attacks need.
    rdtsc
    hlt
