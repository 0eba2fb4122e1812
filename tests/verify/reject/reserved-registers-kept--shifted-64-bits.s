# CVE-2023-26489 (Cranelift), with the shift as an instruction.
# base: r15
    movl %ecx, %r14d
    shlq $3, %r14
    movl (%r15,%r14), %eax
    hlt
