# Into the gate page.
# address: 0x7ffdffff
    nop
    hlt
