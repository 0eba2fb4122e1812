# stos and movs of every size, with and without rep.
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    stosb
    movl %edi, %edi
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    rep stosb
    movl %edi, %edi
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    stosw
    movl %edi, %edi
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    rep stosw
    movl %edi, %edi
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    stosl
    movl %edi, %edi
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    rep stosl
    movl %edi, %edi
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    stosq
    movl %edi, %edi
    movl %edi, %edi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    rep stosq
    movl %edi, %edi
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    movsb
    movl %edi, %edi
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    rep movsb
    movl %edi, %edi
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    movsw
    movl %edi, %edi
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    rep movsw
    movl %edi, %edi
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    movsl
    movl %edi, %edi
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    rep movsl
    movl %edi, %edi
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    movsq
    movl %edi, %edi
    movl %edi, %edi
    movl %esi, %esi
    movq %gs:BASE, %r11
    leaq (%r11,%rdi), %rdi
    leaq (%r11,%rsi), %rsi
    rep movsq
    movl %edi, %edi
    hlt
