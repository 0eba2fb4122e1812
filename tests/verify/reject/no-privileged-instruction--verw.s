# Tests descriptors; flushes buffers.
    verw %ax
    hlt
