# Talks to the kernel; Intel and AMD differ in 64-bit mode.
    sysenter
    hlt
