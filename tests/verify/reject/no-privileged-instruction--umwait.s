# Waits for other threads, with a clock.
    umwait %eax
    hlt
