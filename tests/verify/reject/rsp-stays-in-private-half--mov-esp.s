# rsp from 32 bits: a host address below 4 GiB.
    movl %eax, %esp
    hlt
