# Changes the protection keys of host memory.
    wrpkru
    hlt
