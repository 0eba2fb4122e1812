# The lower half of the base is a host address below 4 GiB.
    movl %gs:BASE, %r11d
    movl 8(%r11), %eax
    hlt
