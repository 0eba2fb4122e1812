# The read of the target map without its sequence reads host memory at any rax.
    testb $1, M(%rax)
    hlt
