# Talks to the kernel through its 32-bit table.
    int $0x80
    hlt
