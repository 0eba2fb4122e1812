# 30 bits are left.
    shrl $2, %edx
    movq %gs:BASE, %r11
    movq (%r11,%rdx,8), %rax
    hlt
