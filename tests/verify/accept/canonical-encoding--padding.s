# Nops of all lengths, with the prefixes that assemblers pad with.
    nop
    xchgw %ax, %ax
    nopl (%rax)
    nopl 8(%rax,%rax)
    nopw 512(%rax,%rax)
    nopw %cs:512(%rax,%rax)
# data16 data16 nopw %cs:512(%rax,%rax), as the GNU assembler pads
.byte 0x66, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0x00, 0x02, 0x00, 0x00
.p2align 5, 0xcc
.p2align 5
    hlt
