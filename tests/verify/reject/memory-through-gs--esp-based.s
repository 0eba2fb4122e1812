# A host address below 4 GiB, however close to rsp it looks.
    movq (%esp), %rcx
    hlt
