# MMX registers are the x87 registers: they reveal what the host left there.
    movq %mm0, %rax
    hlt
