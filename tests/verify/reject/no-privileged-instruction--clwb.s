# The same with another instruction.
    clwb %gs:(%eax)
    hlt
