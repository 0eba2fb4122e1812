# The instruction before the access is not where control comes from.
    jmp 1f
2:
    movq %gs:BASE, %r11
    jmp 3f
1:
    movl 8(%r11), %eax
    jmp 2b
3:
    hlt
