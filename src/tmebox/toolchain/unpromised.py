"""Instructions that no sandbox has, such as AVX-512's, in assembly that people wrote: traps stand for them.

A library brings such functions for processors that have more, and asks cpuid before it calls them. A
sandbox's cpuid never promises what the verifier does not know. So they are there, as in any build, and are
not run. Who runs one all the same gets what a processor without the extension gives: an invalid instruction.
One warning for each function says so.

Names do not tell which instructions they are: `vpbroadcastq %r13, %ymm3` is AVX-512, with %xmm3 for %r13 it
is AVX2. The assembler encodes what could be one, and a decoder says what a processor needs for it. What the
assembler does not know stays as it is, for the rewriter to refuse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from tmebox.abi import TRAP_UNPROMISED
from tmebox.errors import CompileError, Diagnostic
from tmebox.records import dataclass, field, replace
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import Reach
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.asm import AsmSyntaxError, LineMarker, normalized, parse_line
from tmebox.toolchain.rewrite.mnemonics import MNEMONICS
from tmebox.toolchain.rewrite.places import Places
from tmebox.toolchain.scratch import scratch_directory
from tmebox.toolchain.statements import is_known

TRAP = f"ud1l {TRAP_UNPROMISED}(%eax), %eax"
"""The rewriter makes of it a `ud2` with a reason behind it."""

_NAMES = (
    *(("AVX512", "AVX-512"), ("AVX_", "AVX-VNNI or a relative"), ("AMX_", "AMX"), ("D3NOW", "3DNow!")),
    *(("SHA512", "SHA-512"), ("SSE4A", "SSE4a")),
    *((name, name) for name in ("XOP", "FMA4", "TBM", "GFNI", "SM3", "SM4")),
)
"""How the decoder's names of extensions begin, and what people call them. cpuid has a bit for each, which is
0 in sandboxes. The rewriter refuses other instructions that no sandbox has, such as those of the system."""

_TRAPS = "; a trap stands there. Code that asks cpuid first does not get to it"
_INSTRUCTION = regex(r"((?:\{\w+\}\s*)?([a-z]\w*)(?:\s+[^\s=].*?)?)\s*")
_LABELS = regex(r"\s*(?:[\w.$]+:\s*)*")
_LABEL = regex(r"([\w.$]+):")
_SURELY = regex(r"%zmm|%[xyz]mm(?:1[6-9]|2\d|3[01])\b|%k[0-7]\b|%tmm|\{")
_WRONG_LINE = regex(r"^.*?:(\d+):\d+: (?:fatal )?error:", re.MULTILINE)
_NUMBER = ".Lstatement"
_ENCODING = regex(r"# encoding: \[([^\]]*)\]")


def without_unpromised(
    text: str, file: str, limits: clang.Limits = clang.DEFAULT_LIMITS, *, refuses: bool = False
) -> tuple[str, tuple[Diagnostic, ...]]:
    """The text with traps, and a warning for each function that has some. `file` is what messages call it.
    refuses: raise CompileError instead. It is raised for what goes wrong with the assembler, too."""
    try:
        text = normalized(text)
    except AsmSyntaxError:
        return text, ()  # the rewriter says so
    lines = [_Line.of(line) for line in text.split("\n")]
    found = dict.fromkeys(statement for line in lines for statement in line.candidates)
    if not any(map(_is_suspicious, found)):
        return text, ()
    missing = _extensions(list(found), limits)
    if not missing:
        return text, ()
    warnings = tuple(_warnings(lines, missing, file))
    if refuses:
        errors = tuple(
            replace(one, message=one.message.replace(_TRAPS, ""), severity="error") for one in warnings
        )
        raise CompileError(f"{file}: instructions that no sandbox has", errors)
    return "\n".join(line.with_traps(missing) for line in lines), warnings


@dataclass
class _Line:
    """A line in pieces: all of its text, and which of them are instructions that could be such."""

    pieces: list[str]
    places: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, line: str) -> _Line:
        code, mark, comment = line.partition("#")
        if '"' in code:
            return cls([line])
        found = cls([])
        for statement in code.split(";"):
            start = _LABELS.match(statement)
            end = start.end() if start else 0
            instruction = _INSTRUCTION.fullmatch(statement, end)
            if instruction and _may_be(instruction[1], instruction[2]) and is_known(instruction[1]):
                found.places.append(len(found.pieces) + 1)
                found.pieces += [statement[:end], instruction[1], statement[instruction.end(1) :] + ";"]
            else:
                found.pieces.append(f"{statement};")
        found.pieces[-1] = found.pieces[-1][:-1] + mark + comment
        return found

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def candidates(self) -> Iterator[str]:
        return (self.pieces[place] for place in self.places)

    def with_traps(self, missing: dict[str, str]) -> str:
        return "".join(
            TRAP if place in self.places and piece in missing else piece
            for place, piece in enumerate(self.pieces)
        )


def _may_be(instruction: str, mnemonic: str) -> bool:
    return mnemonic.startswith("v") or _is_suspicious(instruction)


def _is_suspicious(instruction: str) -> bool:
    """Whether it is not like anything that a sandbox has."""
    mnemonic = instruction.split(maxsplit=1)[0]
    return mnemonic not in MNEMONICS or _SURELY.search(instruction) is not None


def _extensions(statements: Sequence[str], limits: clang.Limits) -> dict[str, str]:
    """Those that need an extension that no sandbox has, and its name."""
    # Rarely needed, and slow to import.
    from iced_x86 import CpuidFeature, Decoder

    names = {number: name for name, number in vars(CpuidFeature).items() if isinstance(number, int)}
    found = {}
    for statement, code in _encoded(statements, limits):
        needed = [names[feature] for feature in Decoder(64, code).decode().cpuid_features()]
        called = [shown for start, shown in _NAMES if any(name.startswith(start) for name in needed)]
        if called:
            found[statement] = called[0]
    return found


def _encoded(statements: Sequence[str], limits: clang.Limits) -> Iterator[tuple[str, bytes]]:
    """What the assembler makes of each statement that it understands, with 0 for what a linker fills in."""
    with scratch_directory() as scratch:
        source, output = scratch / "statements.s", scratch / "encoded.s"
        words = ["-cc1as", "-triple", "x86_64-unknown-linux-musl", "-filetype", "asm", "-show-encoding"]
        words += ["-o", str(output), str(source)]

        def assembled(lines: Sequence[str]) -> clang.Finished:
            source.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogateescape")
            return clang.run("clang", words, Reach(writes=(scratch,)), limits)

        lines = [f"{_NUMBER}{number}: {statement}" for number, statement in enumerate(statements)]
        finished = assembled(lines)
        if finished.status != 0:
            wrong = {int(number) for number in _WRONG_LINE.findall(finished.messages)}
            if assembled([line for number, line in enumerate(lines, 1) if number not in wrong]).status != 0:
                return
        text = output.read_text(encoding="utf-8", errors="surrogateescape")
    for piece in text.split(f"\n{_NUMBER}")[1:]:
        number, _, shown = piece.partition(":")
        yield statements[int(number)], b"".join(map(_bytes, _ENCODING.findall(shown)))


def _bytes(encoding: str) -> bytes:
    """Of "0x62,0xf1,A,0b00AAA101": letters stand for bits that are not known yet."""
    return bytes(int(regex("[A-Z]").sub("0", one.strip()), 0) for one in encoding.split(","))


def _warnings(lines: Iterable[_Line], missing: dict[str, str], file: str) -> Iterator[Diagnostic]:
    """For each function one, at the first of its instructions that is a trap."""
    places = Places(file)
    counts: dict[str, int] = {}
    first: dict[str, tuple[int, str]] = {}
    function = ""
    for number, line in enumerate(lines, 1):
        if line.text.startswith("#"):
            _note(places, number, line.text)
        if (label := _LABEL.match(line.text)) and not label[1].startswith(".") and not label[1].isdigit():
            function = label[1]
        for statement in line.candidates:
            if statement in missing:
                counts[function] = counts.get(function, 0) + 1
                first.setdefault(function, (number, statement))
    for name, (number, statement) in first.items():
        others = f" and {counts[name] - 1} more" * (counts[name] > 1)
        shown = " ".join(statement.split())
        where = f" in `{name}`" * bool(name)
        message = f"`{shown}`{others}{where}: {missing[statement]}, which no sandbox has{_TRAPS}"
        yield replace(places.diagnostic(message, number), severity="warning")


def _note(places: Places, number: int, text: str) -> None:
    try:
        markers = parse_line(text)
    except AsmSyntaxError:
        return
    for marker in markers:
        if isinstance(marker, LineMarker):
            places.note(number, marker)
