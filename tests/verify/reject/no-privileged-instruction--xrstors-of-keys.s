# ERIM, Garmr: xrstor with bit 9 of eax loads the protection keys.
    movl $0x200, %eax
    xorl %edx, %edx
    xrstor64 %gs:(%ecx)
    hlt
