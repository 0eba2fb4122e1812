# r11 is loaded before edi is truncated: no harm, but not the sequence.
    movq %gs:BASE, %r11
    movl %edi, %edi
    leaq (%r11,%rdi), %rdi
    stosb
    hlt
