# Only ud2 is used for traps.
    ud1l %eax, %ecx
    hlt
