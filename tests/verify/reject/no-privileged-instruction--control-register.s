# Reads a control register.
    movq %cr0, %rax
    hlt
