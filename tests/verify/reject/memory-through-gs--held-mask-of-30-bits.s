# More bits than an index that is scaled by 8 may have.
    andl $0x3fffffff, %edx
    movq %gs:BASE, %r11
    movq (%r11,%rdx,8), %rax
    hlt
