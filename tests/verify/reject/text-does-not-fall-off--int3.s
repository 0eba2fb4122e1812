# A debugger continues after it.
    int3
