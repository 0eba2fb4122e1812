# ERIM, PKU pitfalls: wrpkru in a constant, jumped to.
    xorl %ecx, %ecx
    xorl %edx, %edx
    jmp 1f+1
1:
    movl $0x90ef010f, %eax
    hlt
