# Writes a device, reads through rsi.
    outsb
    hlt
