# Loads cs, rip, flags, ss and rsp.
    iretq
    hlt
