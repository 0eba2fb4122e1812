"""How the guest is built: the same bytes each time, from sources that are as they came."""

from __future__ import annotations

import runpy
from typing import Any

import pytest

from tests.python.building import ROOT
from tmebox.modulefile.codec import read
from tmebox.python import guest, wire


def tool() -> Any:
    return runpy.run_path(str(ROOT / "tools" / "micropython.py"))


@pytest.mark.slow
def test_the_same_sources_give_the_same_bytes() -> None:
    build = tool()
    assert build["build"](build["sources"](), metered=True) == guest.SHIPPED.read_bytes()


def test_no_path_of_a_machine_is_in_the_module() -> None:
    data = guest.SHIPPED.read_bytes()
    assert b"/tmp/" not in data and b"/home/" not in data and str(ROOT).encode() not in data


def test_the_guest_asks_the_host_for_one_function_only() -> None:
    """And for the C library's system calls, of which there are none but for memory and the way out."""
    names = {item.name for item in read(guest.SHIPPED).imports}
    assert "python_host" in names and len(names) <= 2


def test_the_header_has_every_number() -> None:
    header = wire.header()
    for name, value in vars(wire).items():
        if name.isupper() and isinstance(value, int):
            assert f"#define WIRE_{name} {value}\n" in header


def test_numbers_of_one_kind_differ() -> None:
    for kind in (
        "RUN EVALUATE GET SET DELETE CALL NAMES OFFER INTERACT",
        "DONE RAISED SPENT OPAQUE",
        "HOST_CALL HOST_PRINT HOST_SLEEP HOST_CLOCK HOST_TICKS HOST_MODULE HOST_SEED",
        "NONE FALSE TRUE INT BIG FLOAT STR BYTES LIST TUPLE DICT ARRAY DATA FAILED BYTEARRAY",
    ):
        values = [getattr(wire, name) for name in kind.split()]
        assert len(set(values)) == len(values)
