# rsp climbs above the return address, so that a push overwrites it.
# base: twin
    .globl f
f: addq $16, %rsp
    pushq %rdi
    pushq %rsi
    retq
