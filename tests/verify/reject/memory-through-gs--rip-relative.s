# Host memory around the text: other modules, the gate page, the target map.
    movq 0x1000(%rip), %rcx
    hlt
