# Talks to the kernel.
    syscall
    hlt
