# rdi plus 2 GiB leaves the window.
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq 0x7fffffff(%r11,%rdi), %rdi
    stosb
    hlt
