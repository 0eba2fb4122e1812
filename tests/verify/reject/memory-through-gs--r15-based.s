# r15 is the program's.
    movl (%r15,%r14), %ecx
    hlt
