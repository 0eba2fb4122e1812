# Any return may lead behind any call.
    .globl entry
entry:
    call entry
fact_r11_base_1:
    movl 8(%r11), %eax
    hlt
