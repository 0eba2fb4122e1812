# Reads a segment register.
    pushq %fs
    hlt
