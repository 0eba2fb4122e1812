# The address is truncated to 32 bits: a host address below 4 GiB.
    leaq 8(%esp), %rsp
    hlt
