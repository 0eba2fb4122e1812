# base: twin
# Behind a jump anything is true until control may arrive; a host call is entered like a function.
    .globl f
f:
    jmp __tmebox_gate_hostcall
    nop
depth_16:
1:  jmp 1b
    .globl g
g:
    retq
