# CVE-2021-32629 (Cranelift): an offset that was spilled as 32 bits is loaded again as a signed number.
# base: r15
    movslq -8(%rsp), %r14
    movl (%r15,%r14), %eax
    hlt
