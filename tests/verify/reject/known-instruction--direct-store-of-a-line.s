# movdir64b writes 64 bytes through es and re-keys a line.
    movdir64b %gs:(%ecx), %eax
    hlt
