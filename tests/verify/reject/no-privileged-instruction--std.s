# String instructions would descend, past the check of where they begin.
    std
    hlt
