# rdi holds anything.
    stosb
    hlt
