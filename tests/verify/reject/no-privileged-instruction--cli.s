# Clears the interrupt flag where the kernel allows it.
    cli
    hlt
