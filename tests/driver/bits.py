"""The driver's pure functions, compiled in user space as a library: `load(folder)`."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).parents[2] / "driver"

SOURCE = """
#include "tmebox_bits.h"
#define SAY(name) unsigned long long size_of_##name(void) { return sizeof(struct tmebox_##name); }
SAY(info) SAY(create) SAY(key_number) SAY(range) SAY(key_program)
int hardware_layout(const struct tmebox_registers *registers, struct tmebox_layout *layout)
{ return tmebox_hardware_layout(registers, layout); }
const char *refusal_text(int refusal) { return tmebox_refusal_text(refusal); }
int layout_fits(unsigned bits, unsigned shift, unsigned address_bits)
{ return tmebox_layout_fits(bits, shift, address_bits); }
int active(unsigned long long activate) { return tmebox_active(activate); }
unsigned long long entry_bits(const struct tmebox_layout *layout, unsigned key)
{ return tmebox_entry_bits(layout, key); }
int frame_fits(const struct tmebox_layout *layout, unsigned long long frame)
{ return tmebox_frame_fits(layout, frame); }
unsigned long long address_without_key(const struct tmebox_layout *layout, unsigned long long address)
{ return tmebox_address_without_key(layout, address); }
int place_of(unsigned long long offset, unsigned *key, int *alias, unsigned long long *page)
{
    struct tmebox_place place;
    if (!tmebox_place_of(offset, &place))
        return 0;
    *key = place.key, *alias = place.alias, *page = place.page;
    return 1;
}
int range_fits(unsigned long long pages, unsigned long long first, unsigned long long count)
{ return tmebox_range_fits(pages, first, count); }
int grant_makes_sense(unsigned key, unsigned rights) { return tmebox_grant_makes_sense(key, rights); }
int revocation_makes_sense(unsigned key, unsigned rights)
{ return tmebox_revocation_makes_sense(key, rights); }
void key_program(void *program, unsigned key, int command, unsigned algorithm)
{ tmebox_key_program_set(program, key, command, algorithm); }
int worth_another_try(unsigned status) { return tmebox_worth_another_try(status); }
"""


class Registers(ctypes.Structure):
    _fields_ = [
        ("has_tme", ctypes.c_bool),
        ("has_pconfig", ctypes.c_bool),
        ("has_mktme_target", ctypes.c_bool),
        ("has_movdir64b", ctypes.c_bool),
        ("has_capability", ctypes.c_bool),
        ("has_partitioning", ctypes.c_bool),
        ("has_aliases", ctypes.c_bool),
        ("has_core_activate", ctypes.c_bool),
        ("address_bits", ctypes.c_uint),
        ("capability", ctypes.c_uint64),
        ("activate", ctypes.c_uint64),
        ("partitioning", ctypes.c_uint64),
        ("aliases", ctypes.c_uint64),
        ("core_activate", ctypes.c_uint64),
    ]


class Layout(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint) for name in ("key_bits", "key_shift", "keys", "algorithms")]


def load(folder: Path, replace: tuple[str, str] | None = None) -> ctypes.CDLL:
    """The header's functions, by the names above. `replace`: a text in it, and what to have instead."""
    for name in ("tmebox_bits.h", "tmebox_uapi.h"):
        text = (DRIVER / name).read_text()
        if replace and name == "tmebox_bits.h":
            assert text.count(replace[0]) == 1
            text = text.replace(*replace)
        (folder / name).write_text(text)
    (folder / "bits.c").write_text(SOURCE)
    compiler = ["gcc"] if shutil.which("gcc") else [sys.executable, "-m", "ziglang", "cc"]
    output = folder / "bits.so"
    command = [*compiler, "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", str(output)]
    done = subprocess.run([*command, str(folder / "bits.c")], capture_output=True, text=True, check=False)
    if "linux/types.h" in done.stderr:
        pytest.skip("the kernel's headers for user space are not here (linux-libc-dev)")
    assert done.returncode == 0, done.stderr
    library = ctypes.CDLL(str(output))
    numbers = ctypes.c_uint64
    library.refusal_text.restype = ctypes.c_char_p
    library.entry_bits.restype = library.address_without_key.restype = numbers
    library.active.argtypes = [numbers]
    library.frame_fits.argtypes = library.address_without_key.argtypes = [ctypes.POINTER(Layout), numbers]
    library.range_fits.argtypes = [numbers, numbers, numbers]
    library.place_of.argtypes = [
        numbers,
        ctypes.POINTER(ctypes.c_uint),
        ctypes.POINTER(ctypes.c_int),
        ctypes.POINTER(numbers),
    ]
    return library
