# Displacements of exactly STACK_REACH, and accesses of every size.
# isolation: data
    movb -REACH(%rsp), %al
    movb REACH(%rsp), %al
    vmovups -REACH(%rsp), %ymm0
    fstpt 8(%rsp)
    lock incq (%rsp)
    pushq 8(%rsp)
    cmpl %eax, (%rsp)
    movq %rax, -136(%rsp)
    vmaskmovps (%rsp), %ymm0, %ymm1
    hlt
