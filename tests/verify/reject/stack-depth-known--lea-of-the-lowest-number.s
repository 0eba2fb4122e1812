# Its negation has 33 bits.
# base: twin
    .globl f
f: leaq -0x80000000(%rsp), %rsp
    retq
