# CVE-2023-23583 (Reptar): rep movsb with a REX prefix that means nothing puts some CPUs into an unknown state.
    .byte 0xf3, 0x44, 0xa4
    hlt
