# The bit offset in rcx reaches 2^60 bytes in both directions, whatever the operand says.
    btq %rcx, %gs:(%eax)
    hlt
