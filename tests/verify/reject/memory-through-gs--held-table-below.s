# A scaled index, from below the window and its guard.
    movzbl %cl, %edx
    movq %gs:BASE, %r11
    movq -R15_REACH-1(%r11,%rdx,4), %rax
    hlt
