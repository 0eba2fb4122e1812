# Loads gs from the stack.
    popq %gs
    hlt
