# Offsets from 2 GiB up are the pool, which other sandboxes can write.
    movl %eax, %esp
    addq %gs:RSP_START, %rsp
    hlt
