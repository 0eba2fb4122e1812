# Reads a device.
    inb %dx, %al
    hlt
