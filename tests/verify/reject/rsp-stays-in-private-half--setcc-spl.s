# A condition into the low byte of rsp.
    sete %spl
    hlt
