"""The rules for control stacks as claims: rsp stays on one, and no write reaches a return address.

What holds at each instruction, whoever wrote the code: rsp is `depth` bytes below `entry`, where the call of
the running function wrote its return address; `depth` is what the verifier counts, at most what it accepts.
The claims are that each accepted instruction keeps that so, with ranges and numbers as the verifier has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import z3
from iced_x86 import Register, RegisterExt

from tests.campaign import proof_probes as probes
from tests.campaign.accepted_forms import accepted
from tests.campaign.proof_claims import Claim, Unit, between, decoded_of, entered, most_bytes, number
from tests.campaign.proof_models import State, Step, anything, run, told
from tmebox import abi
from tmebox.verify import depth as verifier
from tmebox.verify.forms import Form

FIRST_PLACE, LAST_PLACE = 16, 1 << 15
"""Control stacks have 4 GiB of addresses each, from one of these multiples of that on: control.c."""


def reserved() -> int:
    """So much of these is reserved, and all of it inaccessible but for the stack."""
    pages = abi.TWIN_DISTANCE // abi.PAGE_SIZE + 1
    return pages * abi.PAGE_SIZE + abi.PRIVATE_END + abi.GUARD


def deepest() -> int:
    """The deepest stack that may be claimed."""
    low, high = 0, 1 << 40
    while low < high:
        middle = (low + high + 1) // 2
        claims = verifier.Claims(np.zeros(1, np.int64), np.array([middle]))
        low, high = (low, middle - 1) if claims.malformed()[0] else (middle, high)
    return low


def running(state: State) -> tuple[Any, Any, list[Any]]:
    """Where the control stack's addresses begin, where the return address is, and what holds of them."""
    control, entry, depth = z3.BitVecs("control entry depth", 64)
    first = control + abi.TWIN_DISTANCE
    return (
        control,
        entry,
        [
            control & (abi.WINDOW_SIZE - 1) == 0,
            between(control, number(FIRST_PLACE << 32), number(LAST_PLACE << 32)),
            between(entry, first + abi.STACK_LOWEST, first + abi.PRIVATE_END),
            z3.ULE(depth, deepest()),
            state.registers["rsp"] == entry - depth,
        ],
    )


def is_own(control: Any, address: Any, size_bytes: int) -> Any:
    """All of it is this control stack's, or is never mapped."""
    return between(address, control, control + reserved() - size_bytes + 1)


def control_stacks(base: str) -> Iterator[Unit]:
    if base != "twin":
        return
    yield Unit("twin access near rsp", _near_rsp)
    yield Unit("twin return", _returns)
    for text in ("50", "41 54", "54", "6a 00", "68 00 00 00 00", "58", "e8 00 00 00 00", "ff 34 24", "ff d0"):
        yield Unit(f"twin stack {text}", lambda text=text: _moves(bytes.fromhex(text)))  # type: ignore[misc]
    for encoding in probes.writers_of("rsp"):
        yield Unit(f"twin move {encoding.hex(' ')}", lambda encoding=encoding: _any_moves(encoding))  # type: ignore[misc]
    for name, forms in _writers().items():
        yield Unit(f"twin writes of {name}", lambda forms=forms: _writes(forms))  # type: ignore[misc]


def _near_rsp() -> Iterator[Claim]:
    shape = probes.Shape(Register.NONE, Register.RSP, Register.NONE, 1)
    found = probes.displacements(shape, probes.is_accepted_anywhere, "twin")
    assert found is not None
    state, assumptions = entered("twin")
    control, _, more = running(state)
    displacement = z3.BitVec("displacement", 64)
    address = state.registers["rsp"] + displacement
    yield Claim(
        "an access near rsp is on its control stack, or hits what is never mapped",
        (*assumptions, *more, displacement >= found.low, displacement <= found.high),
        is_own(control, address, most_bytes()),
    )


def _returns() -> Iterator[Claim]:
    state, assumptions = entered("twin")
    _, entry, more = running(state)
    before = state.peek(entry, 8)
    state.registers["rsp"] = entry
    run(state, Step.of(b"\xc3"))
    yield Claim(
        "a return of depth 0 goes where the call's return address says, and rsp is what it was before",
        (*assumptions, *more[:-1]),
        z3.And(state.target == before, state.registers["rsp"] == entry + verifier.SLOT),
    )


def _any_moves(encoding: bytes) -> Iterator[Claim]:
    for value in probes.numbers_tried(encoding):
        changed = encoding if value is None else probes.with_immediate(encoding, value)
        if changed is not None:
            yield from _moves(changed)


def _moves(encoding: bytes) -> Iterator[Claim]:
    """rsp moves by what the form says, and what is accessed on the way is on the control stack."""
    form = probes.form_of(encoding, "twin")
    if form is None:
        return
    state, assumptions = entered("twin")
    control, _, more = running(state)
    before = state.registers["rsp"]
    run(state, Step.of(encoding))
    down = form.deepens + (verifier.SLOT if form.calls else 0)
    yield Claim(
        f"{encoding.hex(' ')} moves rsp down by {down:#x}",
        (*assumptions, *more),
        before - state.registers["rsp"] == down,
    )
    accesses = [access for access in state.accesses if decoded_of(encoding).opcode.moves_rsp]
    yield Claim(
        f"{encoding.hex(' ')} accesses its control stack, and writes below the return address",
        (*assumptions, *more),
        z3.And(
            *(is_own(control, access.address, access.size_bytes) for access in accesses),
            *(_ends(before, access, form) for access in accesses if access.writes),
        ),
    )


def _writers() -> dict[str, list[bytes]]:
    """Accepted instructions with an operand at rsp that they write, by the table of facts. Of movbe it says 8
    bytes, whatever the register: that one is only run, by the part `depth`."""
    found: dict[str, list[bytes]] = {}
    for form in accepted():
        operand, fact = form.decoded.operand, told(form.decoded)
        writes = any("w" in access.access for access in fact.memory)
        name = str(form.decoded.instruction).split()[0]
        if operand is not None and operand.base == Register.RSP and writes and name != "movbe":
            found.setdefault(name, []).append(form.decoded.encoding)
    return found


def _writes(encodings: list[bytes]) -> Iterator[Claim]:
    """With any displacement that an encoding may have."""
    for encoding in encodings:
        form = probes.form_of(encoding, "twin")
        if form is None:
            continue
        state, assumptions = entered("twin")
        before = state.registers["rsp"]
        displacement = z3.BitVec("displacement", 64)
        assumptions += [displacement >= -abi.STACK_REACH, displacement <= abi.STACK_REACH]
        is_free = form.writes_stack is not None and form.writes_stack.displacement is not None
        step = Step(decoded_of(encoding), displacement if is_free else None)
        is_vector = any(RegisterExt.is_xmm(register) for register in step.decoded.registers)
        (anything if is_vector else run)(state, step)  # movsd is two instructions
        yield Claim(
            f"{encoding.hex(' ')} writes no further up than its form says",
            tuple(assumptions),
            z3.And(
                *(_ends(before, access, form, displacement) for access in state.accesses if access.writes)
            ),
        )


def _ends(rsp: Any, access: Any, form: Form, displacement: Any = 0) -> Any:
    """Where the write ends is at most where the verifier takes it to end: it sees to it that this is at or
    below the return address."""
    writes = form.writes_stack
    if writes is None:
        return z3.BoolVal(False)
    end = rsp + writes.end + (displacement if writes.displacement is not None else 0)
    return access.address + access.size_bytes - end <= 0
