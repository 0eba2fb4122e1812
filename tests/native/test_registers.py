"""What a sandbox can see of the host's registers, and what it can leave in them."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.native.machine import DATA, Machine, Trapped, cpu_has

needs_avx512 = pytest.mark.skipif(not cpu_has("avx512f", "avx512vl"), reason="this CPU has no AVX-512")
needs_avx = pytest.mark.skipif(not cpu_has("avx"), reason="this CPU has no AVX")

NAMES = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))
VECTORS = DATA + 192
VECTOR_BYTES = {"sse": 16, "avx": 32, "avx512": 64}
X87_DIRT = {
    "values on the stack": "d9ebd9ebd9eb",  # fldpi, three times
    "a top that is not 0": "d9ebd9ebddc0ddc1",  # fldpi, fldpi, ffree st(0), ffree st(1)
    "a comparison's bits": "d9ebd9eed8d9ddd8",  # fldpi, fldz, fcomp st(1), fstp st(0)
    "an exception flagged": "d9eed9f8ddd8",  # fldz, fprem of nothing, fstp st(0)
    "exceptions unmasked": "c74424f840030000d96c24f8",  # movl $0x340, -8(%rsp); fldcw -8(%rsp)
    "an exception pending": "dbe3d9eed9f8ddd8c74424f840030000d96c24f8",  # fninit first
    "a full stack": "d9eb" * 8,
    "MMX registers in use": "0f76c0",  # pcmpeqd %mm0, %mm0
}
"""Machine code for the host: a state of its x87 unit that no function should leave."""
POSITIVE, NEGATIVE = "d9e8" * 8, "d9e8d9e0" * 8
"""Fill the x87 stack with ones, or minus ones."""
EMPTY = "dbe3"  # fninit: the numbers stay in the registers
X87_CONTROLS = (0x27F, 0xC7F, 0x340)
"""Control words other than the default: of less precision, towards zero, with all exceptions unmasked."""
X87_FLAGS, X87_OVERFLOW, X87_TOP, X87_PENDING = 0x7F, 0x200, 0x3800, 0x8080
"""Bits of the status word."""
Forked = Callable[..., Any]
Policy = Callable[[bool, bool], None]


def dirty_host() -> float:
    """Leave numbers in as many of the host's vector registers as NumPy uses."""
    values = np.arange(1, 4096, dtype=np.float64)
    return float((values * values + values).sum())


def run_on_host(code: bytes) -> None:
    with mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(code + b"\xc3")
        start = ctypes.c_char.from_buffer(page)
        ctypes.CFUNCTYPE(None)(ctypes.addressof(start))()
        del start


def vectors(machine: Machine, kind: str) -> list[bytes]:
    count = 32 if kind == "avx512" else 16
    return [machine.read(VECTORS + 64 * i, VECTOR_BYTES[kind]) for i in range(count)]


def test_no_general_register_shows_anything_of_the_host(machine: Machine) -> None:
    machine.call("dump_sse", DATA)
    registers = dict(zip(NAMES, machine.words(DATA, 16), strict=True))
    assert registers.pop("rdi") == DATA
    assert registers.pop("r11") == machine.address("dump_sse")
    assert 0 < registers.pop("rsp") - machine.base < 1 << 30
    assert registers == dict.fromkeys(registers, 0)


def test_flags_and_floating_point_control_are_the_defaults(machine: Machine, vector_policy: Policy) -> None:
    vector_policy(False, False)
    machine.call("dump_sse", DATA)
    machine.call("dump_x87_state", DATA)
    flags, control = machine.words(DATA + 128, 2)
    assert flags & 0xCD5 & ~0x44 == 0
    assert control & 0xFFFF_FFC0 == 0x1F80  # the six sticky flags may be the host's
    assert control >> 32 & 0xFFFF == 0x37F
    assert control >> 48 & (X87_TOP | X87_PENDING) == 0  # what the host flagged may show


@pytest.mark.parametrize("dirt", X87_DIRT)
def test_the_x87_unit_is_fresh_but_for_the_hosts_flags(
    vector_policy: Policy, forked: Forked, dirt: str
) -> None:
    vector_policy(False, False)

    def look() -> tuple[int, int, int]:
        machine = Machine()
        run_on_host(bytes.fromhex(X87_DIRT[dirt]))
        machine.call("dump_x87_state", DATA)
        state = machine.words(DATA + 136, 1)[0]
        run_on_host(bytes.fromhex(X87_DIRT[dirt]))
        return state >> 32 & 0xFFFF, state >> 48, machine.call("push_x87")

    control_word, status, after_pushes = forked(look).result()
    assert control_word == 0x37F
    assert status & (X87_TOP | X87_PENDING) == 0
    assert after_pushes & X87_OVERFLOW == 0
    assert (after_pushes ^ status) & (X87_FLAGS | X87_TOP | X87_PENDING) == 0


@pytest.mark.parametrize("dirt", X87_DIRT)
@pytest.mark.parametrize(
    ("function", "control_word"),
    [("host_call_then_dump_x87", 0xC7F), ("host_call_then_dump_x87_control", 0x37F)],
)
def test_the_x87_unit_shows_nothing_of_a_host_function_but_flags(
    vector_policy: Policy, forked: Forked, dirt: str, function: str, control_word: int
) -> None:
    vector_policy(False, False)

    def look() -> tuple[int, int]:
        code = bytes.fromhex(X87_DIRT[dirt])
        machine = Machine(imports=[(lambda: run_on_host(code), "", "v")])
        machine.call(function, DATA)
        state = machine.words(DATA + 136, 1)[0]
        return state >> 32 & 0xFFFF, state >> 48

    found, status = forked(look).result()
    assert found == control_word
    assert status & (X87_TOP | X87_PENDING) == 0


def test_the_x87_registers_do_not_even_show_a_sign(vector_policy: Policy, forked: Forked) -> None:
    vector_policy(False, False)

    def look() -> list[int]:
        machine = Machine()
        signs = []
        for numbers in (POSITIVE, NEGATIVE):
            for left in ("", EMPTY):
                run_on_host(bytes.fromhex(numbers + left))
                signs.append(machine.call("signs_in_x87"))
        return signs

    assert len(set(forked(look).result())) == 1


def test_the_x87_registers_do_not_show_a_host_functions_signs(vector_policy: Policy, forked: Forked) -> None:
    vector_policy(False, False)

    def look() -> list[int]:
        code: list[bytes] = []
        machine = Machine(imports=[(lambda: run_on_host(code[-1]), "", "v")])
        signs = []
        for numbers in (POSITIVE, NEGATIVE):
            for left in ("", EMPTY):
                code.append(bytes.fromhex(numbers + left))
                signs.append(machine.call("signs_in_x87_after_host_call"))
        return signs

    assert len(set(forked(look).result())) == 1


@pytest.mark.parametrize("dirt", X87_DIRT)
def test_flags_of_a_host_function_are_not_pending_where_the_sandbox_unmasks_them(
    vector_policy: Policy, forked: Forked, dirt: str
) -> None:
    vector_policy(False, False)

    def look() -> int:
        code = bytes.fromhex(X87_DIRT[dirt])
        machine = Machine(imports=[(lambda: run_on_host(code), "", "v")])
        return machine.call("host_call_with_x87_unmasked")

    assert forked(look).result() == 0


def test_all_of_the_x87_stack_is_free(vector_policy: Policy, forked: Forked) -> None:
    vector_policy(False, False)

    def push() -> int:
        machine = Machine()
        machine.call("add", 1, 2)  # leaves the unit clean
        run_on_host(bytes.fromhex("d9eb" * 8))
        return machine.call("push_x87")

    assert forked(push).result() == 0


@pytest.mark.parametrize(
    "kind",
    ["sse", pytest.param("avx", marks=needs_avx), pytest.param("avx512", marks=needs_avx512)],
)
def test_vector_registers_are_zero_on_entry(machine: Machine, vector_policy: Policy, kind: str) -> None:
    vector_policy(kind != "sse", kind == "avx512")
    if kind != "sse":  # what another sandbox left there is no less secret than the host's
        Machine().call("fill_avx512" if kind == "avx512" else "fill_avx")
    dirty_host()
    machine.call(f"dump_{kind}", DATA)
    assert set(b"".join(vectors(machine, kind))) == {0}
    if kind == "avx512":
        assert machine.words(DATA + 144, 1) == [0]


@needs_avx
def test_only_the_results_come_back_from_a_host_call(vector_policy: Policy) -> None:
    vector_policy(True, False)
    machine = Machine(imports=[(lambda *_: (dirty_host(), (11, 22, 33, 44))[1], "*", "v")])
    machine.call("host_call_then_dump_avx", DATA)
    registers = dict(zip(NAMES, machine.words(DATA, 16), strict=True))
    assert (registers.pop("rax"), registers.pop("rdx"), registers.pop("rbx")) == (11, 33, DATA)
    assert registers.pop("r11") >> 16 == machine.address("add") >> 16  # its own return address
    registers.pop("rsp")
    assert registers == dict.fromkeys(registers, 0)
    first, second, *rest = vectors(machine, "avx")
    assert (first, second) == ((22).to_bytes(32, "little"), (44).to_bytes(32, "little"))
    assert set(b"".join(rest)) == {0}


@needs_avx512
def test_the_wide_registers_are_zero_after_a_host_call(vector_policy: Policy) -> None:
    vector_policy(True, True)
    inner = Machine()
    machine = Machine(imports=[(lambda: inner.call("fill_avx512"), "", "l")])
    machine.call("host_call_then_dump_avx512", DATA)
    assert set(b"".join(vectors(machine, "avx512"))) == {0}


class Control(ctypes.Structure):
    """glibc's fenv_t on x86-64, which is fnstenv's 28 bytes and MXCSR."""

    _fields_ = [("words", ctypes.c_uint32 * 7), ("mxcsr", ctypes.c_uint32)]


def control() -> tuple[int, int, int, int]:
    """x87 control word, x87 stack top, x87 tags, MXCSR without its sticky flags."""
    state = Control()
    libm = ctypes.CDLL("libm.so.6")
    assert libm.fegetenv(ctypes.byref(state)) == 0
    control_word, status, tags = (word & 0xFFFF for word in state.words[:3])
    return control_word, status >> 11 & 7, tags, state.mxcsr & ~0x3F


@pytest.mark.parametrize("name", ["wreck_control", "leave_exception_pending", "push_x87"])
def test_a_return_restores_the_hosts_floating_point_control(
    machine: Machine, vector_policy: Policy, name: str
) -> None:
    vector_policy(False, False)
    before = control()
    machine.call(name)
    assert control() == before
    assert np.longdouble(1) / np.longdouble(4) == 0.25
    assert bytes(bytearray(range(100))[::-1]) == bytes(range(99, -1, -1))


def test_exceptions_that_a_sandbox_flagged_are_not_the_hosts(machine: Machine, vector_policy: Policy) -> None:
    vector_policy(False, False)
    libm, division_by_zero = ctypes.CDLL("libm.so.6"), 4
    libm.feclearexcept(division_by_zero)
    machine.call("leave_flags")
    assert libm.fetestexcept(division_by_zero) == 0
    libm.feraiseexcept(division_by_zero)
    machine.call("add", 1, 2)
    state = Control()
    libm.fegetenv(ctypes.byref(state))
    assert state.mxcsr & division_by_zero
    libm.feclearexcept(division_by_zero)


def test_a_trap_restores_the_hosts_floating_point_control(machine: Machine, vector_policy: Policy) -> None:
    vector_policy(False, False)
    before = control()
    with pytest.raises(Trapped):
        machine.call("wreck_control_and_trap")
    assert control() == before
    assert np.longdouble(1) / np.longdouble(4) == 0.25


def test_a_host_function_runs_with_the_hosts_floating_point_control(vector_policy: Policy) -> None:
    vector_policy(False, False)
    before = control()
    seen = []
    machine = Machine(imports=[(lambda: seen.append(control()), "", "v")])
    machine.call("wreck_control_and_call")
    assert seen == [before]
    assert control() == before


def set_x87_control(word: int) -> None:
    run_on_host(b"\xc7\x44\x24\xf8" + word.to_bytes(4, "little") + b"\xd9\x6c\x24\xf8")


@pytest.mark.parametrize("word", X87_CONTROLS)
@pytest.mark.parametrize(
    "name", ["add", "wreck_control", "push_x87", "leave_flags", "leave_exception_pending"]
)
def test_a_host_gets_back_a_control_word_of_its_own(
    vector_policy: Policy, forked: Forked, name: str, word: int
) -> None:
    vector_policy(False, False)

    def look() -> tuple[int, int, int, int]:
        machine = Machine()
        set_x87_control(word)
        machine.call(name)
        return control()

    assert forked(look).result()[:3] == (word, 0, 0xFFFF)


@pytest.mark.parametrize("word", X87_CONTROLS)
def test_a_host_function_has_the_control_word_that_the_call_began_with(
    vector_policy: Policy, forked: Forked, word: int
) -> None:
    vector_policy(False, False)

    def look() -> tuple[list[Any], int]:
        seen: list[Any] = []
        machine = Machine(imports=[(lambda: seen.append(control()), "", "v")])
        set_x87_control(word)
        machine.call("host_call_then_dump_x87_control", DATA)
        return seen, machine.words(DATA + 136, 1)[0] >> 32 & 0xFFFF

    (seen,), sandbox_word = forked(look).result()
    assert seen[:3] == (word, 0, 0xFFFF)
    assert sandbox_word == 0x37F


ROUNDINGS = {"up": 0x800, "down": 0x400, "to zero": 0xC00}


@pytest.mark.parametrize("rounding", ROUNDINGS.values(), ids=ROUNDINGS)
def test_a_host_functions_own_control_is_not_the_sandboxs(
    vector_policy: Policy, forked: Forked, rounding: int
) -> None:
    """Host functions that change how the host rounds: the sandbox's MXCSR and x87 control word stay."""
    vector_policy(False, False)

    def look() -> tuple[int, int, int]:
        libm = ctypes.CDLL("libm.so.6")
        machine = Machine(imports=[(lambda: libm.fesetround(rounding) and None, "", "v")])
        before = control()[3]
        machine.call("host_call_then_dump_x87_control", DATA)
        word = machine.words(DATA + 136, 1)[0]
        return word & 0xFFC0, before, word >> 32 & 0xFFFF

    mxcsr, before, control_word = forked(look).result()
    assert (mxcsr, control_word) == (before, 0x37F)


def test_a_full_x87_stack_stays_behind_at_a_host_call(vector_policy: Policy) -> None:
    vector_policy(False, False)
    before = control()
    seen: list[Any] = []
    machine = Machine(imports=[(lambda: seen.append(control()), "", "v")])
    assert machine.call("host_call_then_push_x87") == 0
    assert seen == [before]
    assert control() == before


def test_a_host_that_unmasks_exceptions_after_a_sandbox_flagged_them_lives(
    vector_policy: Policy, forked: Forked
) -> None:
    vector_policy(False, False)

    def unmask() -> str:
        Machine().call("leave_flags")
        run_on_host(
            bytes.fromhex("c74424f840030000d96c24f8" + "d9e8ddd89b" + EMPTY)
        )  # unmask; fld1, fstp, wait
        return "alive"

    assert forked(unmask).result() == "alive"


def test_a_host_call_keeps_the_sandboxes_preserved_registers_and_rounding_mode() -> None:
    inner = Machine()
    machine = Machine(imports=[(lambda: (dirty_host(), inner.call("wreck_control"))[1], "", "l")])
    assert machine.call("keep_registers") == 1
