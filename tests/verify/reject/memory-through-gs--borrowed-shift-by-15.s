# 17 bits are left.
    shrl $15, %edx
    movq %gs:BASE, %r11
    movq (%r11,%rdx,8), %rax
    hlt
