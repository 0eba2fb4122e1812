# Whoever was called has changed the register.
# base: twin
    .globl f
f: pushq %rbx
    movq %gs:BASE, %rbx
    callq g
    movq %rax, 8(%rbx)
    popq %rbx
    retq
    .globl g
g:  retq
