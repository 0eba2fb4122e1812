# More bits than a scaled index may have.
    andl $0x1ffff, %edx
    movq %gs:BASE, %r11
    movq (%r11,%rdx,8), %rax
    hlt
