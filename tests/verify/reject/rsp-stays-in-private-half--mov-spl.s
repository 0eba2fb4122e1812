# The low 8 bits of rsp.
# isolation: data
    movb %al, %spl
    hlt
