# emms changes x87 tags only, but no MMX code exists that would need it.
    emms
    hlt
