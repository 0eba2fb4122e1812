# The host finds its thread through fs.
    wrfsbaseq %rax
    hlt
