# Loads gs and a register from memory.
    lgsl %gs:(%eax), %ecx
    hlt
