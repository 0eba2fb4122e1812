# It is weakly ordered and bypasses the caches that tag lines with their key.
    movntiq %rax, %gs:(%ecx)
    hlt
