# ERIM: wrpkru over the boundary of two instructions.
    jmp 1f+4
1:
    addl $0x0f000000, %ecx
    addl %ebp, %edi
    hlt
