# With 66 AMD jumps to a 16-bit address.
    movl %ecx, %eax
    testb $FUNCTION, M(%rax)
    je 9f
.byte 0x66, 0xff, 0xe0
9:
    hlt
