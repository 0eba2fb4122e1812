# ds is unused in 64-bit mode, but the kernel saves it, and it reveals context switches.
    movl %eax, %ds
    hlt
