# A segment override on the source adds the base twice.
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
.byte 0x65, 0xa4
    hlt
