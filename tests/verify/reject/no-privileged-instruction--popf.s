# Sets the direction flag (string instructions would descend), alignment checks or single-stepping.
    popfq
    hlt
