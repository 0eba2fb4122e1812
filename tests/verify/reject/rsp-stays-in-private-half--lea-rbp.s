# rsp from rbp, as compilers end functions with frame pointers.
# isolation: data
    leaq -8(%rbp), %rsp
    hlt
