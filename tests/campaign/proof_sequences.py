"""The verifier's sequences as claims: what each makes safe, run with all encodings that its steps can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, Final

import z3
from iced_x86 import Register

from tests.campaign import proof_probes as probes
from tests.campaign.accepted_forms import numbers_around
from tests.campaign.proof_claims import (
    Claim,
    Unit,
    addresses,
    between,
    decoded_of,
    entered,
    is_confined,
    may_be_mapped,
    near_anchor,
    number,
    stack_rules,
)
from tests.campaign.proof_depth import control_stacks, is_own, running
from tests.campaign.proof_models import GENERAL, Access, State, Step, not_taken, run, told
from tmebox import abi
from tmebox.verify import facts, sequences
from tmebox.verify import jump_tables as tablejumps
from tmebox.verify.bases import TABLES
from tmebox.verify.forms import classify
from tmebox.verify.registers import BY_NUMBER, NAMES_32


def _options(step: str, name: str, base: str) -> list[bytes]:
    """Every encoding that can be a step; `name` is the register that it writes if many can be."""
    exact = [code for code, steps in TABLES[base].sequences.exact.items() if step in steps]
    branches = [bytes.fromhex(f"{short} 00") for short in ("74", "75", "77")]
    branches += [bytes.fromhex(f"0f {long} 00 00 00 00") for long in ("84", "85", "87")]
    exact += [code for code in branches if step in classify(code, TABLES[base]).steps]
    found = exact or probes.alternatives(step, name, base)
    if not found:
        raise ValueError(f"nothing can be {step!r}")
    return found


def _ways(steps: Iterable[str], name: str, base: str) -> Iterator[list[bytes]]:
    """Runs of encodings that can be these steps, so that each encoding of each step is in one."""
    options = [_options(step, name, base) for step in steps]
    for place, choices in enumerate(options):
        for choice in choices if place else choices[:1]:
            yield [choice if at == place else others[0] for at, others in enumerate(options)]
    for choice in options[0][1:]:
        yield [choice, *(others[0] for others in options[1:])]


def _walk(state: State, way: Iterable[bytes]) -> list[Any]:
    """Run a sequence whose conditional branches are not taken; the conditions under which that is so."""
    conditions = []
    for encoding in way:
        step = Step.of(encoding)
        conditions.append(not_taken(state, step))
        run(state, step)
    return conditions


def _named(way: Iterable[bytes]) -> str:
    return "; ".join(encoding.hex(" ") for encoding in way)


def checked_branches(base: str) -> Iterator[Unit]:
    table = TABLES[base].sequences
    for last, found in table.by_last_step.items():
        for sequence in found:
            if sequences.READS_MAP in _steps_of_map(sequence, base):
                yield Unit(
                    f"{base} {last} after {sequence[0]}",
                    lambda sequence=sequence: _checked(base, sequence),  # type: ignore[misc]
                )


def _steps_of_map(sequence: sequences.Steps, base: str) -> frozenset[str]:
    tests = [step for step in sequence if step.startswith(("testb", "cmpb"))]
    return frozenset({sequences.READS_MAP}) if tests or "ret" in sequence[-1] else frozenset()


def _checked(base: str, sequence: sequences.Steps) -> Iterator[Claim]:
    """Where control goes has a bit in the target map that the sequence asks for, and no other sandbox's."""
    name = next((name for name in GENERAL if f"%{name} (32 bits)" in sequence[0]), "r11")
    for way in _ways(sequence, name, base):
        state, assumptions = entered(base)
        control = None
        if base == "twin":
            control, _, more = running(state)
            assumptions += more
        else:
            assumptions.append(near_anchor(state, number(0)))
        before = state.memory
        conditions = _walk(state, way)
        mark = z3.Select(before, state.target + abi.TARGET_MAP)
        yield Claim(
            f"{base} {_named(way)}: the target is marked",
            (*assumptions, *conditions),
            z3.And(z3.ULT(state.target, 1 << 32), _is_marked(base, sequence, mark)),
        )
        yield Claim(
            f"{base} {_named(way)}: each access is to the map, or near rsp",
            (*assumptions, *conditions),
            z3.And(*(_to_map_or_stack(state, access, control) for access in state.accesses[_own(way) :])),
        )


def _is_marked(base: str, sequence: sequences.Steps, mark: Any) -> Any:
    """What the target map says of the target is what the sequence asks for."""
    if base == "twin":
        depth = sequences.TO_LABELS.get(sequence)
        if depth is None:
            return mark & abi.TARGET_FUNCTION != 0
        return mark == abi.LABEL_MARKS[abi.LABEL_DEPTHS.index(depth)]
    bits = abi.TARGET_RETURN if sequence[-1] == "ret" else _ALL_BITS
    return mark & (bits << abi.TARGET_SHIFTS[base]) != 0


_ALL_BITS: Final = abi.TARGET_RETURN | abi.TARGET_FUNCTION | abi.TARGET_LABEL


def _own(way: list[bytes]) -> int:
    """Accesses of the first instruction, which has to be safe by itself."""
    state = State.fresh()
    run(state, Step.of(way[0]))
    return len(state.accesses)


def _to_map_or_stack(state: State, access: Access, control: Any) -> Any:
    in_map = between(access.address, number(abi.TARGET_MAP), number(abi.TARGET_MAP_END))
    near = (
        is_confined(state.base, access.address, access.size_bytes)
        if control is None
        else is_own(control, access.address, access.size_bytes)
    )
    return near if access.writes else z3.Or(in_map, near)


def rebase(base: str) -> Iterator[Unit]:
    if base != "twin":
        yield Unit(f"{base} rebase", lambda: _rebase(base, sequences.REBASE))


def _rebase(base: str, sequence: sequences.Steps) -> Iterator[Claim]:
    for way in _ways(sequence, "rsp", base):
        state, assumptions = entered(base)
        _walk(state, way)
        yield Claim(
            f"{base} {_named(way)}: rsp is anchored", tuple(assumptions), near_anchor(state, number(0))
        )


def strings(base: str) -> Iterator[Unit]:
    for last in ("[rep] stos", "[rep] movs"):
        for sequence in TABLES[base].sequences.by_last_step[last]:
            yield Unit(f"{base} {last}", lambda sequence=sequence: _string(base, sequence))  # type: ignore[misc]


def _string(base: str, sequence: sequences.Steps) -> Iterator[Claim]:
    """The first element is in the window; after one that did not fault, the next one is in it or its
    guards."""
    for way in _ways(sequence, "rdi", base):
        state, assumptions = entered(base)
        _walk(state, way)
        pointers = [name for name in ("rdi", "rsi") if name in told(decoded_of(way[-1])).writes]
        count = len(pointers)
        for name, access in zip(pointers, state.accesses[-count:], strict=True):
            start, size = access.address, access.size_bytes
            yield Claim(
                f"{base} {_named(way)}: {name} starts in the window",
                tuple(assumptions),
                between(start, state.base, state.base + abi.WINDOW_SIZE),
            )
            succeeded = z3.And(
                between(start, state.base, state.base + abi.WINDOW_SIZE), may_be_mapped(state.base, start)
            )
            yield Claim(
                f"{base} {_named(way)}: {name} goes on in the window",
                (*assumptions, succeeded),
                z3.And(
                    is_confined(state.base, start, size),
                    between(start + size, state.base, state.base + abi.WINDOW_SIZE),
                ),
            )


def table_jumps(base: str) -> Iterator[Unit]:
    for sequence in sequences.TABLE_JUMPS:
        yield Unit(f"{base} {sequence[-1]}", lambda sequence=sequence: _table_jump(base, sequence))  # type: ignore[misc]


def _table_jump(base: str, sequence: sequences.Steps) -> Iterator[Claim]:
    """What is read is an entry of the tables, given what `tables_everywhere` sees to: `tables_fit`."""
    name = next(name for name in GENERAL if sequence[0] in tablejumps.bounds(name))
    state = State.fresh()
    index, most = state.registers[name], z3.BitVec("most", 64)
    half = z3.ZeroExt(32, z3.Extract(31, 0, index))
    ways = product(_options(sequence[0], name, base), _options(sequence[1], name, base))
    for compare, above in ways:
        run(state, Step(decoded_of(compare), immediate=most))
        yield Claim(
            f"{base} {compare.hex(' ')}; {above.hex(' ')}: the index is not above the bound",
            (not_taken(state, Step.of(above)), most >= 0, most < 1 << 31),
            z3.And(z3.ULE(half, most), index == state.registers[name]),
        )
    jump = Step(decoded_of(table_jump(name)), displacement=z3.BitVec("table", 64))
    if sequence[2] not in classify(jump.decoded.encoding, TABLES[base]).steps:
        raise ValueError(f"{jump.decoded.encoding.hex(' ')} is not {sequence[2]!r}")
    place = jump.displacement + half * abi.TABLE_ENTRY
    run(state, jump)
    yield Claim(
        f"{base} {sequence[-1]}: what is read in the code region is where it seems to be",
        (z3.ULT(half, 1 << 31), z3.ULT(place, abi.CODE_END)),
        state.accesses[-1].address == place,
    )
    bits = z3.BitVec("bits", 64)
    yield Claim(
        f"{base} {sequence[-1]}: of an index of so many bits the half is no more",
        (z3.ULE(bits, 32), z3.ULT(index, z3.BitVecVal(1, 64) << bits)),
        z3.And(half == index, z3.ULE(half, (z3.BitVecVal(1, 64) << bits) - 1)),
    )
    yield _is_entry()


def _is_entry() -> Claim:
    """In whole numbers: what the two claims before leave."""
    index, most, first, length = z3.Ints("index most first length")
    start = first + index * abi.TABLE_ENTRY
    return Claim(
        "an index up to the bound selects an entry of the text's tables",
        (index >= 0, index <= most, tables_fit(first, most, length)),
        z3.And(start >= 0, start + abi.TABLE_ENTRY <= length, start % abi.TABLE_ENTRY == 0),
    )


def table_jump(name: str) -> bytes:
    """`jmp *0x40010000(,%Rd,8)`."""
    index = next(number for number, found in NAMES_32.items() if found == name)
    return probes.jump_through(probes.Shape(Register.NONE, Register.NONE, index, abi.TABLE_ENTRY), 0x40010000)


def tables_fit(first: Any, most: Any, length: Any) -> Any:
    """What the verifier asks of a bound and a table, `first` bytes into the text's tables: as in
    `tables_everywhere`.

    A test compares this with what `verify` accepts.
    """
    end = first + (most + 1) * abi.TABLE_ENTRY
    return z3.And(first >= 0, first % abi.TABLE_ENTRY == 0, most >= 0, end <= length)


def facts_made(base: str) -> Iterator[Unit]:
    """What an instruction is said to make true of a register is true afterwards."""
    for name in GENERAL if base == "gs" else ():
        if name != "rsp":
            yield Unit(f"gs facts about {name}", lambda name=name: _facts_made(name))  # type: ignore[misc]


def _facts_made(name: str) -> Iterator[Claim]:
    for encoding in probes.writers_of(name):
        variants = [probes.with_immediate(encoding, number) for number in numbers_around()]
        forms = [probes.form_of(variant, "gs") for variant in (encoding, *variants)]
        for made in {form.leaves: None for form in forms if form is not None and form.leaves}:
            yield from _fact_made(encoding, made)


def _fact_made(encoding: bytes, made: tuple[int, int]) -> Iterator[Claim]:
    numbers = probes.immediates(encoding, lambda code: classify(code, TABLES["gs"]).leaves == made)
    state, assumptions = entered("gs")
    immediate = z3.BitVec("immediate", 64)
    if numbers is not None:
        assumptions += [immediate >= numbers.low, immediate <= numbers.high]
    base_before = state.base
    run(state, Step(decoded_of(encoding), immediate=None if numbers is None else immediate))
    register = state.registers[BY_NUMBER[made[0]]]
    holds = register == base_before if made[1] == facts.BASE else z3.ULT(register, 1 << made[1])
    yield Claim(f"{encoding.hex(' ')} with {numbers} makes {made} true", tuple(assumptions), holds)


def reserved_registers(base: str) -> Iterator[Unit]:
    """With the base in r15: nothing that is accepted writes r15, and what writes r14 leaves 32 bits there."""
    for name in abi.RESERVED if base == "r15" else ():
        yield Unit(f"{base} writes of {name}", lambda name=name: _reserved(base, name))  # type: ignore[misc]


def _reserved(base: str, name: str) -> Iterator[Claim]:
    for encoding in probes.writers_of(name):
        form = probes.form_of(encoding, base)
        if form is None or name not in told(decoded_of(encoding)).writes:
            continue
        state, assumptions = entered(base)
        run(state, Step.of(encoding))
        kept = state.registers["r15"] == state.base
        yield Claim(
            f"{encoding.hex(' ')} keeps r15 and 32 bits in r14",
            tuple(assumptions),
            z3.And(kept, z3.ULT(state.registers["r14"], 1 << 32)),
        )


GROUPS: Final = (
    rebase,
    stack_rules,
    control_stacks,
    checked_branches,
    strings,
    table_jumps,
    facts_made,
    reserved_registers,
    addresses,
)


def units() -> Iterator[Unit]:
    for base in TABLES:
        for group in GROUPS:
            yield from group(base)
