# Reveals the machine, serialises, and traps to a hypervisor.
    cpuid
    hlt
