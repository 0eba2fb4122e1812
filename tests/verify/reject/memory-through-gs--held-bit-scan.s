# bsf leaves its register alone where no bit is set: it writes 32 bits, or none.
    bsfl %edx, %ecx
    movq %gs:BASE, %r11
    movl (%r11,%rcx), %eax
    hlt
