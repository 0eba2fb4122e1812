"""From a linked executable's relocations to what a loader must patch and where branches may go.

Every field that holds, or is relative to, a text address must be found here: text moves when a module is
loaded, data does not. A relocation of a kind this file does not know is an error, never skipped.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tmebox.errors import CompileError, Diagnostic
from tmebox.modulefile.file import Addresses, Relocations
from tmebox.records import dataclass
from tmebox.toolchain import sections
from tmebox.toolchain.link import linked
from tmebox.toolchain.link.frames import Frames
from tmebox.toolchain.link.linked import Elf, Section, distinct, is_among

NONE, ABS64, PC32, PLT32, ABS32, ABS32S, PC64 = 0, 1, 2, 4, 10, 11, 24
WIDTHS = {ABS64: 8, PC32: 4, PLT32: 4, ABS32: 4, ABS32S: 4, PC64: 8}
_KNOWN = np.array(sorted([NONE, *WIDTHS]))


@dataclass(frozen=True)
class Claims:
    """functions, labels: sorted addresses that are taken somewhere but in the tables behind the code; see
    ModuleFile.

    patched_text: the text, with calls of undefined weak functions (address 0) led to an hlt.
    """

    relocations: Relocations
    functions: Addresses
    labels: Addresses
    patched_text: bytes


def relocate(executable: Elf, entries: list[int], tables: int, frames: Frames) -> Claims:
    """Classify every relocation of loaded sections. `entries` are more function addresses (exports, start).
    `tables`: the address in the text from where on it is tables. `frames`: their relocations are known.

    Raises CompileError for relocations that cannot be moved.
    """
    symbols = executable.symbols
    indirect = np.flatnonzero((symbols["info"] & 15) == linked.STT_GNU_IFUNC)
    if len(indirect):
        name = executable.symbol_name(int(indirect[0]))
        raise CompileError(
            f"{executable.name}: `{name}` is an indirect function (ifunc): "
            "only a dynamic loader could resolve it; choose with a pointer instead, or switch it off"
        )
    in_text = _in_text(executable)
    is_function = (symbols["info"] & 15) == linked.STT_FUNC
    function_addresses = distinct(symbols["value"][is_function & in_text])
    undefined = (symbols["section"] == linked.SHN_UNDEF) & (np.arange(len(symbols)) > 0)
    text = bytearray(executable.contents(".text"))
    text_section = executable.section(".text")
    code_bytes = tables - text_section.address if text_section else 0
    places: dict[str, list[NDArray[Any]]] = {
        name: [] for name in ("text_abs32", "text_abs64", "text_pc32", "data_abs32", "data_abs64")
    }
    places["data_abs32"].append(frames.code)
    taken: list[NDArray[Any]] = [np.array(entries, dtype=np.uint64), frames.functions]
    labels: list[NDArray[Any]] = []
    for section, rows in executable.relocations():
        if section.name in frames.contents:
            continue
        _require_known(executable, section, rows)
        kinds = rows["type"]
        to_text = in_text[rows["symbol"]]
        offsets = (rows["place"] - np.uint64(section.address)).astype(np.int64)
        relative = (kinds == PC32) | (kinds == PLT32)
        where = "text" if section.executable else "data"
        if section.executable:
            nowhere = (kinds == PLT32) & undefined[rows["symbol"]]
            for offset in offsets[nowhere].tolist():
                text[offset : offset + 4] = (code_bytes - 1 - (offset + 4)).to_bytes(4, "little", signed=True)
            places["text_pc32"].append(offsets[relative & ~to_text & ~nowhere])
            _refuse(executable, section, rows, kinds == PC64, "a 64-bit relative address in code")
        else:
            wrong = (relative | (kinds == PC64)) & to_text
            _refuse(executable, section, rows, wrong, "data relative to code (compile without -fPIC)")
        for width, chosen in ((32, (kinds == ABS32) | (kinds == ABS32S)), (64, kinds == ABS64)):
            moving = chosen & to_text
            at = offsets[moving]
            places[f"{where}_abs{width}"].append(at if section.executable else at + section.address)
            # What jumps read from the tables is no claim, and a table's own address none of a target.
            of_code = (
                np.flatnonzero(moving)[at < code_bytes] if section.executable else np.flatnonzero(moving)
            )
            targets = _fields(section, offsets[of_code], width // 8)
            of_code, targets = of_code[targets < tables], targets[targets < tables]
            function = is_among(targets, function_addresses)
            taken.append(targets[function])
            # A function's address plus a constant is arithmetic, not somewhere to go.
            plain = (symbols["info"][rows["symbol"][of_code]] & 15) != linked.STT_FUNC
            labels.append(targets[~function & plain])
    claimed = _claimed_labels(executable, tables)
    taken.append(claimed[is_among(claimed, function_addresses)])
    labels.append(claimed)
    joined = {name: _sorted(arrays) for name, arrays in places.items()}
    return Claims(Relocations(**joined), _sorted(taken), _sorted(labels), bytes(text))


def _claimed_labels(executable: Elf, tables: int) -> NDArray[np.uint64]:
    """What the objects' lists of labels hold, but for those of code that the linker has dropped."""
    section, text = executable.section(sections.LABELS), executable.section(".text")
    if section is None or section.loaded or text is None:
        return np.zeros(0, dtype=np.uint64)
    whole = len(section.data) // sections.LABEL_BYTES * sections.LABEL_BYTES
    addresses = np.frombuffer(section.data[:whole], dtype=np.uint64)
    return addresses[(addresses >= text.address) & (addresses < tables)]


def _in_text(executable: Elf) -> NDArray[np.bool_]:
    """Per symbol: whether it moves with the text."""
    executable_section = np.zeros(1 << 16, dtype=bool)
    for index, section in enumerate(executable.sections):
        executable_section[index] = section.loaded and section.executable
    result: NDArray[np.bool_] = executable_section[executable.symbols["section"]]
    return result


def _sorted(arrays: list[NDArray[Any]]) -> Addresses:
    if not arrays:
        return np.zeros(0, dtype=np.uint32)
    return distinct(np.concatenate(arrays)).astype(np.uint32)


def _fields(section: Section, offsets: NDArray[np.int64], width: int) -> NDArray[np.uint64]:
    """What the fields at `offsets` hold after linking."""
    if not len(offsets):
        return np.zeros(0, dtype=np.uint64)
    data = np.frombuffer(section.data, dtype=np.uint8)
    if int(offsets.min()) < 0 or int(offsets.max()) + width > len(data):
        raise CompileError(f"a relocation lies outside its section {section.name}")
    rows = data[offsets[:, None] + np.arange(width)]
    dtype = "<u4" if width == 4 else "<u8"
    return np.ascontiguousarray(rows).view(dtype).ravel().astype(np.uint64)


def _require_known(executable: Elf, section: Section, rows: NDArray[Any]) -> None:
    unknown = ~is_among(rows["type"], _KNOWN)
    _refuse(executable, section, rows, unknown, "a kind of relocation that a sandbox cannot have")


def _refuse(
    executable: Elf, section: Section, rows: NDArray[Any], wrong: NDArray[np.bool_], why: str
) -> None:
    if not wrong.any():
        return
    first = rows[wrong][0]
    name = executable.symbol_name(int(first["symbol"])) or "a local label"
    place = f"{section.name}+{int(first['place']) - section.address:#x}"
    message = f"{place}, to {name}: {why} (type {int(first['type'])})"
    raise CompileError("the program cannot be linked for a sandbox", (Diagnostic(message),))
