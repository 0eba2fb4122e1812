# Loads descriptors.
    lgdt %gs:(%eax)
    hlt
