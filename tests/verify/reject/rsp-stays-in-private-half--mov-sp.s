# The low 16 bits of rsp.
    movw %ax, %sp
    hlt
