# Stores every register, also those that the host left behind.
    xsave 8(%rsp)
    hlt
