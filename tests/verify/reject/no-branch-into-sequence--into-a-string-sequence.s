# Straight to rep stos.
    jmp 1f
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
1:
    rep stosb
    hlt
