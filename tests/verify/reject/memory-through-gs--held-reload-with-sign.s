# CVE-2021-32629 (Cranelift): an offset that was spilled as 32 bits is loaded again as a signed number.
    movslq -8(%rsp), %rcx
    movq %gs:BASE, %r11
    movl (%r11,%rcx), %eax
    hlt
