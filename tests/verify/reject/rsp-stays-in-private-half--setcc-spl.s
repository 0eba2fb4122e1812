# A condition into the low byte of rsp.
# isolation: data
    sete %spl
    hlt
