# Nobody arrives there, but a rule is a rule.
    movq %gs:BASE, %r11
    jmp 1f
    movl 8(%r11), %eax
1:
    hlt
