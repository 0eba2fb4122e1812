# Vector operands obey too.
    vmovups (%rax), %ymm0
    hlt
