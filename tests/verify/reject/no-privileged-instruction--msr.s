# Writes a model-specific register.
    wrmsr
    hlt
