# Blocks interrupts and debug exceptions for one instruction.
    movl %eax, %ss
    hlt
