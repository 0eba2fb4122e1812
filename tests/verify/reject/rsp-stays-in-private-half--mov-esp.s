# rsp from 32 bits: a host address below 4 GiB.
# isolation: data
    movl %eax, %esp
    hlt
