# The base has more than 32 bits.
    movq %gs:BASE, %r11
1:
fact_r11_32_1:
    jmp 1b
