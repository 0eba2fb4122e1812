# rsi keeps its upper half.
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    movsb
    hlt
