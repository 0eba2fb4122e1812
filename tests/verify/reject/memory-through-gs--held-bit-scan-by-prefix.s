# tzcnt is bsf to a CPU that does not know it, and that leaves its register alone where no bit is set.
    tzcntl %edx, %ecx
    movq %gs:BASE, %r11
    movl (%r11,%rcx), %eax
    hlt
