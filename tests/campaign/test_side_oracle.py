"""Side execution equals native, and what compares the two reports what it is there to report."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.campaign import side_oracle
from tests.campaign.part import Tally
from tests.campaign.part_side import compare
from tests.campaign.processor import cpu_features
from tests.campaign.side_operands import accessing, forms_of, strings
from tests.campaign.side_oracle import run
from tests.forked import ChildOutcome
from tmebox.runtime.side import (
    ADDRESS_GS,
    CALL,
    JUMP,
    MASKED,
    MOVE_STRING,
    NEVER_FAULTS,
    POP,
    PUSH,
    RIP,
    SSE,
    STORE_STRING,
    STUB,
    X87,
    NoSideForm,
    SideForm,
    describe,
)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    side_oracle.program()
    accessing()


def form_of(encoding: str, **changes: object) -> SideForm:
    form = describe(bytes.fromhex(encoding))
    if changes:  # what is wrong with it may fault
        form = form._replace(flags=form.flags & ~NEVER_FAULTS)
    return form._replace(**changes)


OUTSIDE = "memory outside of its accesses"

WRONG: dict[str, tuple[SideForm, str]] = {
    "a subtraction for an addition": (form_of("65 67 03 08", stub=b"\x2b\x0e", pointer=6), "a register"),
    "another register": (form_of("65 67 8b 08", stub=b"\x8b\x16", pointer=6), "a register"),
    "other flags": (form_of("65 67 3b 08", stub=b"\x85\x0e", pointer=6), "flags"),
    "a register that it uses": (form_of("65 67 01 08", stub=b"\x01\x09", pointer=1), "memory or flags"),
    "half a store": (form_of("65 67 48 89 08", stub=b"\x89\x0e", pointer=6), "memory"),
    "half an access": (form_of("65 67 48 89 08", size=4), OUTSIDE),
    "a store too far": (form_of("65 67 89 08", stub=b"\x48\x89\x0e", pointer=6), OUTSIDE),
    "an access too large": (form_of("65 67 89 08", size=8), "an access is too large"),
    "an index without scale": (form_of("65 67 8b 0c 70", scale=1), "a register"),
    "vector state left out": (form_of("65 67 0f 58 08", state=0), "vector registers"),
    "MXCSR left out": (form_of("65 67 f2 48 0f 2d 08", state=0), "a register"),
    "x87 state left out": (form_of("65 67 d9 00", state=0), "x87 state"),
    "upper halves left": (form_of("65 67 c5 f8 58 08", state=SSE), "vector registers"),
    "vector state for x87": (form_of("65 67 d8 00", state=SSE), "x87 state"),
    "the host's rsp": (form_of("65 67 48 89 20", stub=b"\x48\x89\x20", for_rsp=255), "memory"),
    "a mask of smaller lanes": (form_of("65 67 c4 e2 71 2f 10", lane=4), OUTSIDE),
    "a string of smaller elements": (form_of("ab", size=2), "a register"),
    "a string that does not repeat": (form_of("f3 ab", flags=0), "a register"),
}  # fmt: skip


def test_an_exception_of_arithmetic_on_the_side_changes_nothing() -> None:
    """Nor does the comparison look at registers that the CPU does not have."""
    (answer,) = run([form_of("65 67 66 0f 5e 18")], 7, 400)  # divpd %gs:(%eax), %xmm3
    assert answer.faulted > 5
    assert not answer.finding, answer


@pytest.mark.parametrize("name", WRONG)
def test_a_form_that_is_wrong_is_found(name: str, forked: Callable[..., ChildOutcome]) -> None:
    form, expected = WRONG[name]
    [answer] = forked(lambda: run([form], 2, 2000)).result()
    assert any(one in answer.finding for one in expected.split(" or "))


def test_every_instruction_does_the_same_on_the_side(forked: Callable[..., ChildOutcome]) -> None:
    """With each kind of operand; `make campaign PARTS=side` runs all shapes of them, as long as wanted."""

    def compared() -> Tally:
        chooser, tally = random.Random(5), Tally()
        shapes = list(accessing())
        chooser.shuffle(shapes)
        by_code = {shape.code: shape for shape in shapes}
        forms = [form for shape in by_code.values() for form in forms_of(shape, chooser)]
        compare(forms, 5, 6, tally)
        compare(strings(), 5, 300, tally)
        tally.count("instructions", len(by_code))
        return tally

    tally = forked(compared, timeout_s=300).result()
    assert tally.findings == []
    assert tally.counts["instructions"] > 800
    assert tally.counts["executed on the side"] > 10 * tally.counts["instructions"]
    assert tally.counts["faulted on the side"] > 500
    assert tally.counts["reached over the end"] > 500


def test_every_instruction_that_accesses_memory_has_a_form() -> None:
    chooser = random.Random(6)
    by_code = {shape.code: shape for shape in accessing()}
    kinds = {form.kind for shape in by_code.values() for form in forms_of(shape, chooser)}
    kinds |= {form.kind for form in strings()}
    expected = {STUB, STORE_STRING, MOVE_STRING, PUSH, POP, CALL, JUMP}
    assert kinds == expected | ({MASKED} if "avx" in cpu_features() else set())


NO_FORM = {
    "nop": "90",
    "registers": "01 c8",
    "syscall": "0f 05",
    "lea": "65 67 8d 08",
    "prefetch": "65 67 0f 18 08",
    "breakpoint": "cc",
    "half an instruction": "c4",
    "gather": "65 67 c4 e2 69 92 04 08",
    "lgdt": "65 67 0f 01 10",
    # Bits at a register's distance from the operand: nobody has looked at where they are.
    "bt": "65 67 48 0f a3 01",
    "bts": "65 67 0f ab 01",
    "btr": "65 66 67 0f b3 01",
    "btc": "65 67 48 0f bb 01",
}


@pytest.mark.parametrize("name", NO_FORM)
def test_what_does_not_access_memory_or_is_not_accepted_has_no_form(name: str) -> None:
    with pytest.raises(NoSideForm):
        describe(bytes.fromhex(NO_FORM[name]))


def test_a_form_says_where_the_operand_is() -> None:
    relative = form_of("65 48 8b 05 10 00 00 00")
    assert (relative.base_register, relative.displacement, relative.flags) == (
        RIP,
        16,
        ADDRESS_GS | NEVER_FAULTS,
    )
    negative = form_of("65 67 8b 40 fc")
    assert negative.displacement == -4
    assert form_of("43 8b 44 37 08")[5:9] == (15, 14, 1, 8)


def test_a_stub_names_no_rsp() -> None:
    for encoding in ("65 67 48 89 20", "65 67 40 88 20", "65 67 03 20", "65 67 66 29 20"):
        form = form_of(encoding)
        assert form.for_rsp != 255
        assert form.stub != bytes.fromhex(encoding)[2:]


def test_high_byte_registers_stay_what_they_are() -> None:
    form = form_of("65 67 88 20")  # movb %ah, %gs:(%eax)
    assert form.stub[0] == 0x88
    assert form.for_rsp == 255
    assert form.state == 0


def test_x87_and_vectors_have_their_state() -> None:
    assert form_of("65 67 d9 00").state == X87
    assert form_of("65 67 0f 58 00").state == SSE
    assert form_of("65 67 c5 f8 58 00").state > SSE


def test_repeated_strings_are_told_apart() -> None:
    assert {form.size for form in strings()} == {1, 2, 4, 8}
    assert {bool(form.flags) for form in strings()} == {True, False}
