# AMD only.
    blcfill %eax, %ecx
    hlt
