# The pool is not excluded.
    movl %eax, %esp
    btrl $30, %esp
    addq %gs:BASE, %rsp
    hlt
