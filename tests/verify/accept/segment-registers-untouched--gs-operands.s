# Using gs in a memory operand does not touch the register.
    movq %gs:(%eax), %rax
    movq %rax, %gs:0x5000000
    hlt
