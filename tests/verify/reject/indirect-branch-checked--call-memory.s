# The word in memory may be anything.
    callq *%gs:(%eax)
    hlt
