# Control words are read from memory.
    ldmxcsr (%rax)
    hlt
