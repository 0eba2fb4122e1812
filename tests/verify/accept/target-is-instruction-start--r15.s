# Claimed targets with the base in r15.
# base: r15
.globl entry
entry:
label_same:
    movl %eax, %r14d
label_inner:
    jmp entry
