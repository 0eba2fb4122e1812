# Behind the text lies another module, or nothing.
    jmp .+0x10000
    hlt
