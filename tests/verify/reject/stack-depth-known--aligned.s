# How far an alignment moves rsp is not known.
# base: twin
    .globl f
f: andq $-32, %rsp
    retq
