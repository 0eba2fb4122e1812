# The word in memory may be anything.
    jmpq *%gs:8(%eax,%ecx,8)
    hlt
