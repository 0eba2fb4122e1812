# PKU sandboxes: the keys are not the sandbox's to read.
    xorl %ecx, %ecx
    rdpkru
    hlt
