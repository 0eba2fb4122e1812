# Key Locker loads handles to keys that are the host's.
    loadiwkey %xmm0, %xmm1
    hlt
