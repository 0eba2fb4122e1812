# Into the middle of the gate's code.
    jmp __tmebox_gate_hostcall+2
    hlt
