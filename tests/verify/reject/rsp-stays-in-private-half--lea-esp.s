# The address is truncated to 32 bits: a host address below 4 GiB.
# isolation: data
    leaq 8(%esp), %rsp
    hlt
