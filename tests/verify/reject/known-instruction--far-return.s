# A far return loads cs: it can leave 64-bit mode, where none of this was verified.
    lretq
    hlt
