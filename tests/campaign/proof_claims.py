"""The rules of docs/design.md, section 4, as claims about bit vectors: z3 finds no counterexample to any.

Numbers come from `abi`, steps from the verifier's sequences, ranges from what the verifier accepts. A claim
is a conclusion under assumptions. The assumptions are the layout (`abi`), the control page's content, and
the invariants that other claims prove: control enters a sequence only at its beginning, rsp is near its
anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import z3
from iced_x86 import Register

from tests.campaign import proof_probes as probes
from tests.campaign.accepted_forms import accepted
from tests.campaign.proof_models import State, Step, address_of, run, told
from tmebox import abi
from tmebox.verify import memory, stack
from tmebox.verify.decoded import decode
from tmebox.verify.facts import Access
from tmebox.verify.forms import Form
from tmebox.verify.registers import BY_NUMBER


class Claim(NamedTuple):
    """conclusion: holds whenever all assumptions do."""

    name: str
    assumptions: tuple[Any, ...]
    conclusion: Any


class Unit(NamedTuple):
    """Some claims that are made together, when they are asked for."""

    name: str
    claims: Callable[[], Iterable[Claim]]


def counterexample(claim: Claim) -> str | None:
    """What breaks a claim, or None: there is nothing. An answer that z3 does not find counts as broken."""
    solver = z3.Solver()
    solver.set("timeout", 60_000)
    solver.add(*claim.assumptions, z3.Not(claim.conclusion))
    answer = solver.check()
    if answer == z3.unsat:
        return None
    return str(solver.model()) if answer == z3.sat else f"z3 does not know: {solver.reason_unknown()}"


def can_hold(claim: Claim) -> bool:
    """Whether the assumptions contradict each other: then a claim would say nothing."""
    solver = z3.Solver()
    solver.add(*claim.assumptions)
    return solver.check() == z3.sat


# -- the layout --------------------------------------------------------------------------------------------


def number(value: int) -> Any:
    return z3.BitVecVal(value, 64)


def between(value: Any, low: Any, high: Any) -> Any:
    """In [low, high), unsigned; no sum here wraps, since windows are far from both ends."""
    return z3.And(z3.UGE(value, low), z3.ULT(value, high))


def is_base(base: Any) -> Any:
    """A window's base: windows lie above what the code region and the target map reserve."""
    low, high = number(abi.TARGET_MAP_END + abi.WINDOW_SIZE), number((1 << 47) - 2 * abi.WINDOW_SIZE)
    return z3.And(between(base, low, high), base & (abi.WINDOW_SIZE - 1) == 0)


def low_guard() -> int:
    return abi.STACK_LOWEST


def high_guard() -> int:
    return abi.WINDOW_SIZE - abi.SHARED_END


def is_confined(base: Any, address: Any, size_bytes: int) -> Any:
    """All of it is in the window, in the guard that ends the window before or in the one that begins the
    next."""
    end = abi.WINDOW_SIZE + low_guard() - size_bytes + 1
    return between(address, base - high_guard(), base + end)


ABOVE: Final = z3.Bool("the stack is above the arena")
"""Windows are of two kinds."""


def may_be_mapped(base: Any, address: Any) -> Any:
    """What an access does not fault at, as far as the layout promises anything."""
    private = (abi.STACK_LOWEST, abi.PRIVATE_END)
    # Arena, shared heap, and a heap's second part, with any gaps.
    parts = private, (abi.ARENA_START, abi.SHARED_END)
    parts_above = private, (abi.ARENA_START, abi.ARENA_END), (abi.SHARED_START, abi.SHARED_END)
    near = between(address, base - high_guard(), base + abi.WINDOW_SIZE + low_guard())
    some, some_above = (
        z3.Or(*(between(address, base + low, base + high) for low, high in all_parts))
        for all_parts in (parts, parts_above)
    )
    return z3.Or(z3.Not(near), z3.If(ABOVE, some_above, some))


@cache
def most_bytes() -> int:
    """The largest access that any accepted instruction makes at a time, by the table of facts."""
    sizes = {
        operand.bytes
        for form in accepted()
        if not (fact := told(form.decoded)).marks & {"prefetch", "nop"}
        for operand in fact.memory
    }
    return max(sizes)


def reads_base(state: State) -> Any:
    """The control page holds the window's base; the sandbox cannot write that page."""
    return state.peek(state.base + abi.CONTROL_WINDOW_BASE, 8) == state.base


def reads_stack(state: State) -> Any:
    """It also holds what rsp is confined to."""
    first, mask = rsp_range()
    return z3.And(
        state.peek(state.base + abi.CONTROL_RSP_START, 8) == state.base + first,
        state.peek(state.base + abi.CONTROL_RSP_MASK, 4) == z3.Extract(31, 0, mask),
    )


def rsp_range() -> tuple[Any, Any]:
    """The first offset that rsp has after a rebase, and how far from there the last one is."""
    first = z3.If(ABOVE, number(abi.UPPER_RSP_START), number(0))
    return first, z3.If(ABOVE, number(abi.UPPER_RSP_MASK), number(abi.RSP_MASK))


def entered(base: str) -> tuple[State, list[Any]]:
    """A machine in verified code, and what holds whatever instruction is next."""
    state = State.fresh()
    assumptions = [is_base(state.base), reads_base(state), reads_stack(state)]
    if base == "r15":
        assumptions += [state.registers["r15"] == state.base, z3.ULT(state.registers["r14"], 1 << 32)]
    return state, assumptions


# -- addresses ---------------------------------------------------------------------------------------------


def addresses(base: str) -> Iterator[Unit]:
    """Every memory operand that is accepted outside sequences, whatever is in its registers, is confined."""
    for shape in probes.shapes():
        if base == "twin" and shape.base == Register.RSP:
            continue  # a control stack's: see `proof_depth`
        yield Unit(f"{base} address {shape}", lambda shape=shape: _address(base, shape))  # type: ignore[misc]
    if base != "r15":
        yield Unit(f"{base} rip-relative", _rip_relative)


def _address(base: str, shape: probes.Shape) -> Iterator[Claim]:
    for access in probes.accesses(shape, base):

        def accepts(form: Form, access: Access | None = access) -> bool:
            return probes.is_accepted_anywhere(form) and form.access == access

        found = probes.displacements(shape, accepts, base)
        if found is not None:
            yield from _addressed(base, shape, access, found)


def _known(state: State, access: Access) -> list[Any]:
    """The facts that an access needs."""
    known = [state.registers[BY_NUMBER[access.base]] == state.base]
    if access.offset >= 0:
        known.append(z3.ULT(state.registers[BY_NUMBER[access.offset]], 1 << access.bits))
    return known


def _addressed(base: str, shape: probes.Shape, access: Access | None, found: probes.Range) -> Iterator[Claim]:
    encoding = probes.load(shape, 0)
    assert encoding is not None
    state, assumptions = entered(base)
    if access is not None:
        assumptions += _known(state, access)
    displacement = z3.BitVec("displacement", 64)
    assumptions += [displacement >= found.low, displacement <= found.high]
    if shape.base == Register.RSP:
        moved = z3.BitVec("moved", 64)
        assumptions += [near_anchor(state, moved), z3.ULE(moved, most_unanchored())]
    address = address_of(state, Step(decoded_of(encoding), displacement))
    yield Claim(
        f"{shape} with {found.low:#x} to {found.high:#x} and {access} is in the window",
        tuple(assumptions),
        is_confined(state.base, address, most_bytes()),
    )


def _rip_relative() -> Iterator[Claim]:
    state, assumptions = entered("gs")
    most = probes.greatest(lambda offset: memory.offset_problem(offset) is None, wide=True)
    least = -probes.greatest(lambda offset: memory.offset_problem(-offset) is None, wide=True)
    offset = z3.BitVec("offset", 64)
    assumptions += [offset >= least, offset <= most]
    conclusion = is_confined(state.base, state.base + offset, most_bytes())
    yield Claim("an operand relative to rip is in the window", tuple(assumptions), conclusion)


def decoded_of(encoding: bytes) -> Any:
    decoded = decode(encoding)
    if decoded is None:
        raise ValueError(f"no instruction: {encoding.hex(' ')}")
    return decoded


# -- the stack ---------------------------------------------------------------------------------------------


def near_anchor(state: State, moved: Any) -> Any:
    """The invariant of rsp: in the window's first GiB, or its upper half, but for `moved` bytes since the
    last anchor."""
    rsp, (first, mask) = state.registers["rsp"], rsp_range()
    return between(rsp, state.base + first - moved, state.base + first + mask + 1 + moved)


def most_unanchored() -> int:
    """How far rsp may have moved since its last anchor, by the verifier."""
    return probes.greatest(lambda moved: stack.adjustment_problem(moved, branches=False) is None)


def stack_rules(base: str) -> Iterator[Unit]:
    if base == "twin":
        return
    yield Unit(f"{base} access near rsp", lambda: _near_rsp(base))
    yield Unit(f"{base} branch", _at_branches)
    for encoding in ("50", "58", "6a 00", "e8 00 00 00 00", "c3"):
        yield Unit(f"{base} stack {encoding}", lambda text=encoding: _pushes(base, text))  # type: ignore[misc]
    for encoding in probes.writers_of("rsp"):  # type: ignore[assignment]
        name = f"{base} adjustment {encoding.hex(' ')}"  # type: ignore[attr-defined]
        yield Unit(name, lambda encoding=encoding: _adjustment(base, encoding))  # type: ignore[misc]


def _near_rsp(base: str) -> Iterator[Claim]:
    """An access near rsp that succeeds is an anchor: rsp was within reach of what nobody else writes."""
    shape = probes.Shape(Register.NONE, Register.RSP, Register.NONE, 1)
    found = probes.displacements(shape, probes.is_accepted_anywhere, base)
    assert found is not None
    state, assumptions = entered(base)
    moved, displacement = z3.BitVec("moved", 64), z3.BitVec("displacement", 64)
    address = state.registers["rsp"] + displacement
    assumptions += [near_anchor(state, moved), z3.ULE(moved, most_unanchored())]
    assumptions += [displacement >= found.low, displacement <= found.high]
    yield Claim(
        "what an access near rsp does not fault at is private, and rsp is near it",
        (*assumptions, may_be_mapped(state.base, address)),
        z3.And(
            z3.If(
                ABOVE,
                between(address, state.base + abi.SHARED_START, state.base + abi.SHARED_END),
                between(address, state.base, state.base + abi.PRIVATE_END),
            ),
            near_anchor(state, number(0)),
        ),
    )


def _at_branches() -> Iterator[Claim]:
    """Nothing is left to be anchored where control can come from elsewhere."""
    most = probes.greatest(lambda moved: stack.adjustment_problem(moved, branches=True) is None)
    yield Claim("rsp has not moved since its anchor at a branch", (), number(most) == 0)


def _pushes(base: str, text: str) -> Iterator[Claim]:
    state, assumptions = entered(base)
    moved = z3.BitVec("moved", 64)
    assumptions += [near_anchor(state, moved), z3.ULE(moved, most_unanchored())]
    run(state, Step.of(bytes.fromhex(text)))
    (access,) = state.accesses
    yield Claim(f"{text} accesses the window", tuple(assumptions), is_confined(state.base, access.address, 8))
    yield Claim(
        f"{text} anchors rsp",
        (*assumptions, may_be_mapped(state.base, access.address)),
        near_anchor(state, number(0)),
    )


def _adjustment(base: str, encoding: bytes) -> Iterator[Claim]:
    """A write of rsp that is accepted outside a sequence moves it by no more than its form says."""
    for value in probes.numbers_tried(encoding):
        changed = encoding if value is None else probes.with_immediate(encoding, value)
        form = probes.form_of(changed, base)
        if changed is None or form is None or form.needs_sequence is not None:
            continue
        if stack.adjustment_problem(form.adjusts, branches=False):
            continue  # refused wherever it stands, though not by its form
        state, assumptions = entered(base)
        before = state.registers["rsp"]
        run(state, Step.of(changed))
        if state.accesses and form.anchors:
            continue  # pushes and pops: see there
        change = state.registers["rsp"] - before
        yield Claim(
            f"{changed.hex(' ')} moves rsp by at most {form.adjusts:#x}",
            (*assumptions, near_anchor(state, number(0))),
            z3.And(change <= form.adjusts, change >= -form.adjusts),
        )
