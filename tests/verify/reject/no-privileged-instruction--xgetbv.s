# Reveals which state is in use.
    xgetbv
    hlt
