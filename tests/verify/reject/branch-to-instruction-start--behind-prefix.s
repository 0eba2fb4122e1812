# Skipping gs makes it a host access.
    jmp 1f+1
1:
    movq %gs:(%eax), %rcx
    hlt
