# Reads performance counters.
    rdpmc
    hlt
