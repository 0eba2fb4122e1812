# A scaled index, from below the window.
    movzbl %cl, %edx
    movq %gs:BASE, %r11
    movq -8(%r11,%rdx,4), %rax
    hlt
