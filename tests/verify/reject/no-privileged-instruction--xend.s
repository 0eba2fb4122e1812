# Transactions do not exist here.
    xend
    hlt
