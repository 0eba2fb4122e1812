# The low 16 bits of rsp.
# isolation: data
    movw %ax, %sp
    hlt
