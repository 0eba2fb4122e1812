# Loads state components that the host does not expect, protection keys among them.
    xrstor 8(%rsp)
    hlt
