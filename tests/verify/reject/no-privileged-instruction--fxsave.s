# Stores x87 registers that the host left behind.
    fxsave 8(%rsp)
    hlt
