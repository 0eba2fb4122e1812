# A fine clock, and the processor's number.
    rdtscp
    hlt
