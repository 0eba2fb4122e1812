# Swaps gs bases.
    swapgs
    hlt
