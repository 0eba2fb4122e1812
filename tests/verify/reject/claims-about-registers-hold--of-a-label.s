# Any indirect jump may lead to a claimed label.
    movq %gs:BASE, %r11
label_1:
fact_r11_base_1:
    movl 8(%r11), %eax
    hlt
