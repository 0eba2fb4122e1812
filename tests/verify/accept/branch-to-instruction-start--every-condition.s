# Short and near branches on each condition, counted loops, a call, and the gate.
# isolation: data
1:
    jmp 1b
.irp condition, o, no, b, ae, e, ne, be, a, s, ns, p, np, l, ge, le, g
    j\condition 1b
    j\condition 9f
.endr
.fill 130, 1, 0x90
    jrcxz 1f
    jecxz 1f
    loop 1f
    loope 1f
    loopne 1f
    addr32 loop 1f
    addr32 loope 1f
    addr32 loopne 1f
1:
    callq 9f
    jne __tmebox_gate_hostcall
    callq __tmebox_gate_hostcall
    jmp __tmebox_gate_hostcall
9:
    hlt
