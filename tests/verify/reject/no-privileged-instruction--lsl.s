# Reveals descriptors; Linux keeps the processor's number in one.
    lsl %eax, %ecx
    hlt
