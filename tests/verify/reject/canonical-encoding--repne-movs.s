# repne repeats movs, says the CPU, and not the manual.
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
.byte 0xf2, 0xa4
    hlt
