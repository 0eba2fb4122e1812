# Harmless, but nothing emits it.
# base: r15
    movzbl %al, %r14d
    hlt
