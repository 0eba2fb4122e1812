# A no-operation today, a leak of the shadow stack pointer tomorrow.
    rdsspq %rax
    hlt
