# Ten bytes over the return address.
# base: twin
    .globl f
f: fstpt -8(%rsp)
    retq
