# Writing the map would make any address a target.
    orb $FUNCTION, M(%rax)
    hlt
