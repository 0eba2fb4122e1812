# Reveals the processor's number.
    rdpid %rax
    hlt
