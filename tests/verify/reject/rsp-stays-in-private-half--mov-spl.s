# The low 8 bits of rsp.
    movb %al, %spl
    hlt
