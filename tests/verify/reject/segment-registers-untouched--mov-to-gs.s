# Loading a null selector sets the base to 0 on Intel and keeps it on AMD.
    movl %eax, %gs
    hlt
