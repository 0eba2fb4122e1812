# Before the text lies another module.
    callq .-0x10000
    hlt
