# bts instead of btr: always in the pool.
    movl %eax, %esp
    btsl $31, %esp
    addq %gs:RSP_START, %rsp
    hlt
