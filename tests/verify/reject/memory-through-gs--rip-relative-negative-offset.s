# gs base plus a negative offset: the window below.
    movq %gs:-0x7f000000(%rip), %rcx
    hlt
