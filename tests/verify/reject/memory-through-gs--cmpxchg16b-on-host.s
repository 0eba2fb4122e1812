# 16 bytes at once.
    cmpxchg16b (%rdi)
    hlt
