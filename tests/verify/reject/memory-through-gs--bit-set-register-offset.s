# The same, writing, atomically.
    lock btsq %rcx, %gs:(%eax)
    hlt
