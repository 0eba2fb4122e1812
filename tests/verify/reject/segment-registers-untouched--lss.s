# Loads ss and rsp from memory.
    lssq %gs:(%eax), %rsp
    hlt
