# Short and near branches, counted loops, a call, and the gate.
# isolation: data
1:
    jmp 1b
    jne 1b
    jne 9f
.fill 130, 1, 0x90
    jrcxz 1f
    jecxz 1f
    loop 1f
    loopne 1f
1:
    callq 9f
    jne __tmebox_gate_hostcall
    callq __tmebox_gate_hostcall
    jmp __tmebox_gate_hostcall
9:
    hlt
