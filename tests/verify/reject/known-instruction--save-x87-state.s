# fnsave reveals all x87 registers, also those that are not the sandbox's.
    fnsave 8(%rsp)
    hlt
