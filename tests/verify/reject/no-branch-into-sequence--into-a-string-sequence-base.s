# r11 unknown.
    jmp 1f
    movl %edi, %edi
    movq %gs:BASE, %r11
1:
    leaq (%r11,%rdi), %rdi
    stosb
    hlt
