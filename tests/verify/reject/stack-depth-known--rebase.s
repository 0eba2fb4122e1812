# The sequence of stacks in the window brings rsp out of the control stack.
# base: twin
    .globl f
f: movl %edi, %esp
    andl $0x3fffffff, %esp
    addq %gs:BASE, %rsp
    retq
