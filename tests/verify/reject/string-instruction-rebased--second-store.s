# Only the first of two is covered: rep may have left rdi at the window's end.
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    rep stosb
    rep stosb
    hlt
