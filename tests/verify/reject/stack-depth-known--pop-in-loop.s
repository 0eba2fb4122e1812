# A loop that pops climbs above the return address.
# base: twin
    .globl f
f:
    subq $64, %rsp
depth_64:
1:  popq %rax
    jmp 1b
