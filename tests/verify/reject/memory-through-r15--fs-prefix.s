# The host's thread-local storage.
# base: r15
    movl %fs:(%r15), %ecx
    hlt
