# The second access is at the end of a sequence, the first only at its beginning.
    movzbl (%r11,%rdx), %ecx
    movq %gs:BASE, %r11
    movl 0x5000000(%r11,%rcx,4), %eax
    hlt
