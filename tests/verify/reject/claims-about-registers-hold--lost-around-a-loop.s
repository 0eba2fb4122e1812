# The loop's second turn comes without the base.
    movq %gs:BASE, %r11
1:
fact_r11_base_1:
    movl 8(%r11), %r11d
    jne 1b
    hlt
