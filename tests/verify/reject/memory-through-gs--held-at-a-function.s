# A function that begins with the access.
    movl %ecx, %edx
    movq %gs:BASE, %r11
.globl entry
entry:
    movq 8(%r11,%rdx), %rax
    hlt
