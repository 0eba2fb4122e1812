# Transactions do not exist here.
    xabort $1
    hlt
