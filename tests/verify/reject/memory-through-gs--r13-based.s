# r13 needs a displacement like rbp.
    movq (%r13), %rcx
    hlt
