"""Backtraces of sandboxed code, from the module's call-frame information and a copy of the stack.

Everything here is untrusted (the frame information comes from the module file, the stack from the
sandbox): a wrong answer is a misleading backtrace, so steps and sizes are bounded and nothing raises.
"""

from __future__ import annotations

import struct
from bisect import bisect_right

import numpy as np

from tmebox.errors import Frame
from tmebox.modulefile.file import ModuleFile
from tmebox.runtime.call_frames import CallFrames

REGISTER_ORDER = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "flags",
)  # fmt: skip
DWARF_REGISTERS = (
    "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "ra",
)  # fmt: skip
MAX_FRAMES = 64
MASK32 = 0xFFFF_FFFF


class Unwinder:
    """Looks up functions, lines and frames of one loaded module. `slide` is slot minus nominal address."""

    def __init__(self, file: ModuleFile, slide: int) -> None:
        self._file = file
        self._slide = slide
        self._starts = [symbol.address for symbol in file.symbols]
        self._call_frames: CallFrames | None = None

    def locate(self, address: int) -> Frame:
        """Function, file and line of a host code address."""
        nominal = address - self._slide
        function = file = line = None
        index = bisect_right(self._starts, nominal) - 1
        if index >= 0:
            symbol = self._file.symbols[index]
            if nominal < symbol.address + max(symbol.size_bytes, 1):
                function = symbol.name
        lines = self._file.lines
        row = int(np.searchsorted(lines.addresses, nominal, side="right")) - 1
        if row >= 0 and function is not None and lines.lines[row]:
            file, line = lines.files[lines.file_indices[row]], int(lines.lines[row])
        return Frame(address, function, file, line)

    def place(self, address: int) -> str | None:
        """The same in words, for messages; None where no function is known."""
        frame = self.locate(address)
        return str(frame) if frame.function else None

    def frames(
        self, address: int, stack_offset: int, stack: bytes, register_words: bytes
    ) -> tuple[Frame, ...]:
        """Innermost first. `stack` is a copy of the sandbox's stack from `stack_offset` up, `register_words`
        has 8 bytes for each of REGISTER_ORDER."""
        found = [self.locate(address)]
        values = dict(
            zip(REGISTER_ORDER, struct.unpack(f"<{len(REGISTER_ORDER)}Q", register_words), strict=True)
        )
        # In the sandbox every address but rsp is an offset already; make rsp one too.
        registers = {name: value & MASK32 for name, value in values.items()} | {"rsp": stack_offset}
        nominal = address - self._slide
        try:
            for _ in range(MAX_FRAMES):
                above = self._step(nominal, registers, stack_offset, stack)
                if above is None:
                    break
                return_address, registers = above
                # The call, not the instruction after it, is what the line should be of.
                frame = self.locate(return_address - 1)
                if frame.function is None:
                    break
                found.append(Frame(return_address, frame.function, frame.file, frame.line))
                nominal = return_address - 1 - self._slide
        except Exception:
            pass
        return tuple(found)

    def _step(
        self, nominal: int, registers: dict[str, int], stack_offset: int, stack: bytes
    ) -> tuple[int, dict[str, int]] | None:
        if self._call_frames is None:
            self._call_frames = CallFrames(self._file.debug_frame)
        row = self._call_frames.row(nominal)
        if row is None or not 0 <= row.base < len(DWARF_REGISTERS) - 1:
            return None
        cfa = (registers[DWARF_REGISTERS[row.base]] + row.offset) & MASK32
        above = dict(registers)
        return_address = 0
        for number, offset in row.saved.items():
            place = cfa + offset - stack_offset
            if not 0 <= place <= len(stack) - 8:
                return None
            value = struct.unpack_from("<Q", stack, place)[0]
            if DWARF_REGISTERS[number] == "ra":
                return_address = value
            else:
                above[DWARF_REGISTERS[number]] = value & MASK32
        if not return_address or cfa <= registers["rsp"]:
            return None
        above["rsp"] = cfa
        return return_address, above
