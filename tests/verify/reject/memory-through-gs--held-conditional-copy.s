# In 64-bit mode the upper half is cleared even without a copy, but no rule says so.
    cmovel %ecx, %edx
    movq %gs:BASE, %r11
    movq (%r11,%rdx), %rax
    hlt
