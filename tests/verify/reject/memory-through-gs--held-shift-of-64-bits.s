# 48 bits are left.
    shrq $16, %rdx
    movq %gs:BASE, %r11
    movq (%r11,%rdx,8), %rax
    hlt
