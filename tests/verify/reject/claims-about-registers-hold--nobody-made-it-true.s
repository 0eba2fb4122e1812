# The claim alone makes nothing true: control runs into it from above.
    nop
fact_r11_base_1:
    movl 8(%r11), %eax
    hlt
