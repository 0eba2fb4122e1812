# No instruction starts there.
    movq %gs:BASE, %r11
.set fact_r11_base_1, . - 1
    movl 8(%r11), %eax
    hlt
