# The direction flag is set: a string instruction goes downward, over the window's beginning.
    std
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    rep stosb
    hlt
