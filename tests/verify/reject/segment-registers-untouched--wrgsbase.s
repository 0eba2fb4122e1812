# With another gs base every access goes where the attacker wants.
    wrgsbaseq %rax
    hlt
