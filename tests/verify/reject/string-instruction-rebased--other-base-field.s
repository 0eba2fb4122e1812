# A base that is not the window's.
    movl %edi, %edi
    movq %gs:BASE+8, %r11
    leaq (%r11,%rdi), %rdi
    stosb
    hlt
