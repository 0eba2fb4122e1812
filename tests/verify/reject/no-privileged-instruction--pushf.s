# It stores flags that the sandbox has no use for, and its inverse must not exist.
    pushfq
    hlt
