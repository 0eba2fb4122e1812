# The core returns to a local.
# base: twin
    .globl f
f: pushq %rdi
    jmp __tmebox_gate_hostcall
