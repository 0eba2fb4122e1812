# Another function returns to a local of this one.
# base: twin
    .globl f
f: pushq %rdi
    jmp g
    .globl g
g:  retq
