# The return address is changed in place.
# base: twin
    .globl f
f: addq $16, (%rsp)
    retq
