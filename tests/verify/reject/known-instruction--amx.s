# Tile registers are never cleared.
    tilezero %tmm0
    hlt
