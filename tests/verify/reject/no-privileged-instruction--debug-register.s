# Writes a debug register.
    movq %rax, %dr7
    hlt
