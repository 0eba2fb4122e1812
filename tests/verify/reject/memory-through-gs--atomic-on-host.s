# Locked instructions obey too.
    lock xaddq %rcx, (%rax)
    hlt
