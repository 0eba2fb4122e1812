# 67 would use edi: a host address below 4 GiB.
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
.byte 0x67, 0xaa
    hlt
