# CVE-2026-34987 (Winch): a register that somebody else filled is taken for 32 bits.
    .globl entry
entry:
    call entry
    movq %gs:BASE, %r11
    movl (%r11,%rax), %eax
    hlt
