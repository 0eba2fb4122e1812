# The host's thread data.
    movq %fs:(%eax), %rcx
    hlt
