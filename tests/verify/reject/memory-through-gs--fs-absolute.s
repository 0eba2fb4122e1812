# The host's stack protector canary.
    movq %fs:40, %rcx
    hlt
