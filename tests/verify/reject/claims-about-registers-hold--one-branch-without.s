# One of two branches to the place comes without the base.
    je 1f
    movq %gs:BASE, %r11
    jmp 1f
1:
fact_r11_base_1:
    movl 8(%r11), %eax
    hlt
