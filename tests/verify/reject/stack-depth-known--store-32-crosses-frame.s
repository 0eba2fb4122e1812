# Thirty-two bytes begin in the red zone and end in the return address.
# base: twin
    .globl f
f: vmovups %ymm0, -24(%rsp)
    retq
