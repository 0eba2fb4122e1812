"""Names of C++ functions as people write them, and names that attack whoever reads them."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from tmebox.demangle import called, demangled
from tmebox.demangle.reader import MOST_STEPS, Reader, Unknown
from tmebox.demangle.tables import LONGEST_NAME
from tmebox.errors import Frame

NAMES = {
    "main": "main",
    "_Z4plusii": "plus(int, int)",
    "_ZN2ns4halfEd": "ns::half(double)",
    "_ZNK2ns1S3getEv": "ns::S::get() const",
    "_ZN1CC2Ei": "C::C(int)",
    "_ZN1CD1Ev": "C::~C()",
    "_Z4tmplIiET_S0_": "int tmpl<int>(int)",
    "_Z1fPFivE": "f(int (*)())",
    "_Z1fRA3_KiM1SFvvE": "f(int const (&)[3], void (S::*)())",
    "_ZN12_GLOBAL__N_11gEv": "(anonymous namespace)::g()",
    "_ZplRK1AS1_": "operator+(A const&, A const&)",
    "_ZN1AcvbEv": "A::operator bool()",
    "_ZZ4mainENK3$_0clEv": "main::$_0::operator()() const",
    "_ZTV4Base": "vtable for Base",
    "_ZThn16_N4Both1fEv": "thunk to Both::f()",
    "_ZNSt3__16vectorIiNS_9allocatorIiEEE9push_backB8ne190100ERKi": (
        "std::vector<int, std::allocator<int>>::push_back(int const&)"
    ),
    "_Z3strNSt3__112basic_stringIcNS_11char_traitsIcEENS_9allocatorIcEEEE": "str(std::string)",
    "_Z4makeIJiRPcEEvDpOT_": "void make<int, char*&>(int&&, char*&)",
    "_Z1fILi3ELb1EEvv": "void f<3, true>()",
    "_Z1fv.cold.1": "f()",
}


@pytest.mark.parametrize(("name", "shown"), NAMES.items(), ids=str)
def test_names_are_shown_as_people_write_them(name: str, shown: str) -> None:
    assert demangled(name) == shown


def test_what_a_function_is_called_has_no_parameters() -> None:
    assert [called(name) for name in ("f", "_ZN2ns4halfEd", "_Z4tmplIiET_S0_", "_Zzz")] == [
        "f", "ns::half", "tmpl<int>", "_Zzz",
    ]  # fmt: skip


def test_frames_show_them() -> None:
    assert str(Frame(1, "_ZN2ns4halfEd", "a.cpp", 3)) == "ns::half(double) (a.cpp:3)"


HOSTILE = {
    "unknown": "_Zzz",
    "cut off": "_ZN2ns4ha",
    "a length beyond the end": "_Z99999x",
    "an endless length": "_Z" + "9" * 4000 + "x",
    "deep nesting": "_Z1f" + "P" * 4000 + "i",
    "deep templates": "_Z1f" + "1AI" * 1000 + "i" + "E" * 1000,
    "doubling": "_Z1fI" + "1AIiiE" + "".join(f"S{index}_" for index in range(9)) * 100 + "Evv",
    "substitutions that double": "_Z1fI1AIiiE" + "1BIS_S_E1BIS0_S0_E" * 60 + "Evv",
    "a substitution that is not there": "_Z1fSZZZZ_",
    "a parameter that is not there": "_Z1fT9_",
    "packs of packs": "_Z1fIJ" + "J" * 200 + "E" * 201 + "EvDp" * 50 + "T_",
    "a literal without an end": "_Z1fILi",
    "many parameters": "_Z1f" + "i" * 4000,
    "only encodings": "_Z" + "Z" * 4000,
    "not ascii": "_Z3äöüv",
    "numbers of other scripts": "_Z٣abcv",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_cost_little(name: str) -> None:
    for shown in (demangled(name), called(name)):
        assert len(shown) <= max(LONGEST_NAME, len(name))
    reader = Reader(name[2:])
    with suppress(Unknown, IndexError, RecursionError):
        reader.encoding()
    assert reader.steps <= MOST_STEPS + 1


def test_damaged_names_are_read_or_left_alone() -> None:
    chance = random.Random(16)
    names = list(NAMES)
    letters = "".join(names)
    for _ in range(20_000):
        name = list(chance.choice(names))
        for _ in range(chance.randrange(1, 6)):
            name[chance.randrange(len(name))] = chance.choice(letters)
        assert len(demangled("".join(name))) <= LONGEST_NAME
