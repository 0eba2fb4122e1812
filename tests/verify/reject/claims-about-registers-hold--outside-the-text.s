# Of no instruction at all.
    hlt
fact_r11_base_1:
