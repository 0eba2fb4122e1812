# Reveals kernel addresses where UMIP is off.
    sidt %gs:(%eax)
    hlt
