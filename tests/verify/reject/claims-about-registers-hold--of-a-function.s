# Any text may call a function, with anything in r11.
    movq %gs:BASE, %r11
    .globl entry
entry:
fact_r11_base_1:
    movl 8(%r11), %eax
    hlt
