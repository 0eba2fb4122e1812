# One byte of the return address.
# base: twin
    .globl f
f: sete 1(%rsp)
    retq
