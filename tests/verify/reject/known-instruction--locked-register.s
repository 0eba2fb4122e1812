# CVE-1999-1476 (F00F): lock cmpxchg8b with a register hangs some CPUs.
    .byte 0xf0, 0x0f, 0xc7, 0xc8
    hlt
