# Reveals the host's thread pointer.
    rdfsbaseq %rax
    hlt
