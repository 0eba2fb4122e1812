# Under isolation "data" the compiler is trusted with control flow.
# isolation: data
    callq *%rax
    jmpq *%gs:(%eax)
    callq *8(%rsp)
    retq
