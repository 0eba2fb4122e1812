# Flushing lines is what timing attacks need, and it moves data behind keys.
    clflush %gs:(%eax)
    hlt
