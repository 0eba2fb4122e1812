"""Assembler directives: which there are, which section they put us in, and what becomes of them.

Default deny: a directive that is not listed is refused, above all those that hide instructions, files or
branches from the rewriter (`.macro`, `.rept`, `.if`, `.include`, `.incbin`, `.code32`, `.intel_syntax`, …).
"""

from __future__ import annotations

import re

from tmebox.records import dataclass
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.rewrite.asm import STRING, AsmSyntaxError, Directive, parse_expression, split_operands
from tmebox.toolchain.rewrite.replacement import Refusal

_KEPT = """
    .globl .global .weak .local .file .hidden .protected .internal .size .ident .comm .lcomm .weakref
    .cfi_sections .cfi_startproc .cfi_endproc .cfi_def_cfa .cfi_def_cfa_offset .cfi_def_cfa_register
    .cfi_adjust_cfa_offset .cfi_offset .cfi_rel_offset .cfi_register .cfi_restore .cfi_undefined
    .cfi_same_value .cfi_remember_state .cfi_restore_state .cfi_escape .cfi_signal_frame
    .cfi_personality .cfi_lsda .cfi_return_column
"""
KEPT = frozenset(_KEPT.split())
SHARED = frozenset([".globl", ".global", ".weak", ".weakref", ".comm"])
"""What makes other files' symbols of that name the same."""
DROPPED = frozenset([".addrsig", ".addrsig_sym", ".att_syntax", ".code64", ".version"])
"""Hints for a linker we do not use, and what is the case anyway."""
ASSIGNMENTS = frozenset([".set", ".equ", ".equiv"])
ALIGNMENTS = frozenset([".p2align", ".balign", ".align"])
_DATA = """
    .byte .2byte .4byte .8byte .short .hword .value .word .int .long .quad .octa .float .single .double
    .tfloat .ascii .asciz .string .zero .space .skip .fill .uleb128 .sleb128 .dc.a .dc.b .dc.w .dc.l
    .dc.q
"""
DATA = frozenset(_DATA.split())
SECTIONS = frozenset([".text", ".data", ".bss", ".section", ".pushsection", ".popsection", ".previous"])

_CODE_NAMES = regex(r"\.(text|init|fini)(\..*)?\Z")
_THREAD_NAMES = regex(r"\.t(data|bss)(?=\.|\Z)")
_FLAGS = regex(r'"\w*"')
_MODIFIER = regex(r"@(\w+)")
_NUMBER = regex(r"(0x[0-9a-fA-F]+|\d*)")
_KNOWN_FLAGS = frozenset("awxMSGToeR")
_ASSIGNED = regex(rf"[\w.$]+|{STRING}", re.ASCII)
_OFFSET = regex("@DTPOFF", re.IGNORECASE)
_TLS_TYPE = regex(r"([@%#])tls_object\b|\bSTT_TLS\b")
_CODE_FILL = frozenset(["", "0x90", "144"])
"""What may pad code: no-operations, which the assembler writes as long as it can."""


@dataclass(frozen=True, slots=True)
class Section:
    """`arguments`: what `.section` takes, with thread-local sections made ordinary ones, of
    names by which the link script finds them."""

    name: str
    is_code: bool
    arguments: str

    @property
    def is_debug(self) -> bool:
        return self.name.startswith(".debug")

    @property
    def group(self) -> str:
        """The COMDAT group that it belongs to; "" if none."""
        words = split_operands(self.arguments)
        return words[-2] if len(words) > 3 and words[-1] == "comdat" else ""


TEXT = Section(".text", True, '.text,"ax",@progbits')
_BARE = {
    ".text": TEXT,
    ".data": Section(".data", False, '.data,"aw",@progbits'),
    ".bss": Section(".bss", False, '.bss,"aw",@nobits'),
}


class SectionState:
    """The current section, as `.section`, `.pushsection` and their like move it."""

    def __init__(self) -> None:
        self.current = TEXT
        self._previous = TEXT
        self._stack: list[tuple[Section, Section]] = []
        self._known: dict[str, Section] = {}

    def apply(self, directive: Directive) -> str:
        """Follow a section directive; returns its new text. Raises Refusal."""
        name = directive.name
        if name in _BARE:
            if directive.arguments:
                raise Refusal("subsections are not supported")
            self._enter(_BARE[name])
            return f"\t{name}"
        if name == ".previous":
            self.current, self._previous = self._previous, self.current
            return "\t.previous"
        if name == ".popsection":
            if not self._stack:
                raise Refusal("`.popsection` without `.pushsection`")
            self.current, self._previous = self._stack.pop()
            return "\t.popsection"
        section = self._declared(directive.arguments)
        if name == ".pushsection":
            self._stack.append((self.current, self._previous))
        self._enter(section)
        return f"\t{name}\t{section.arguments}"

    def _enter(self, section: Section) -> None:
        self._previous, self.current = self.current, section

    def _declared(self, text: str) -> Section:
        arguments = split_operands(text)
        if not arguments or not arguments[0]:
            raise Refusal("a section without a name")
        name = arguments[0].strip('"')
        if arguments[0] not in (name, f'"{name}"') or '"' in name or "\\" in name:
            raise Refusal("a section whose name is not plain text")
        if len(arguments) == 1:
            return self._known.get(name) or _section(name, None, arguments)
        if not _FLAGS.fullmatch(arguments[1]):
            raise Refusal("a section whose flags are not a string")
        section = _section(name, arguments[1][1:-1], arguments)
        self._known[name] = section
        return section


def _section(name: str, flags: str | None, arguments: list[str]) -> Section:
    is_thread = bool(_THREAD_NAMES.match(name))
    if flags is None:
        renamed = _THREAD_NAMES.sub(r".thread_\1", name)
        if is_thread:
            kind = "nobits" if renamed.startswith(".thread_bss") else "progbits"
            return Section(renamed, False, f'{renamed},"aw",@{kind}')
        return Section(name, bool(_CODE_NAMES.match(name)), arguments[0])
    if unknown := set(flags) - _KNOWN_FLAGS:
        raise Refusal(f"unknown section flags `{''.join(sorted(unknown))}`")
    if "x" in flags and "w" in flags:
        raise Refusal("a section that is both writable and executable")
    if "T" in flags:
        # The first thread's are ordinary data; others have theirs at a distance (`memory.THREAD_OFFSET`).
        quoted = arguments[0].startswith('"')
        name = _THREAD_NAMES.sub(r".thread_\1", name)
        rest = [f'"{flags.replace("T", "")}"', *arguments[2:]]
        return Section(name, False, ",".join([f'"{name}"' if quoted else name, *rest]))
    return Section(name, "x" in flags, ",".join(arguments))


def rewrite_directive(directive: Directive, section: Section) -> str | None:
    """The directive's new text, None to drop it; not for section directives. Raises Refusal."""
    name, arguments = directive.name, directive.arguments
    if name in KEPT:
        return str(directive)
    if name in DATA:
        return _data(directive, section)
    if name == ".type":
        return f"\t.type\t{_TLS_TYPE.sub(_object_type, arguments)}"
    if name in ALIGNMENTS:
        return _alignment(directive) if section.is_code else str(directive)
    if name in ASSIGNMENTS:
        return _assignment(directive)
    if name in DROPPED:
        return None
    raise Refusal(f"`{name}` is not allowed here")


def _object_type(match: re.Match[str]) -> str:
    return f"{match[1] or '@'}object"


def _data(directive: Directive, section: Section) -> str:
    if section.is_code:
        raise Refusal(f"`{directive.name}` in a code section: data there could hide instructions")
    arguments = directive.arguments
    if "@" in arguments and '"' not in arguments:
        # Debug information says where a thread-local variable is, relative to its block.
        for modifier in _MODIFIER.findall(arguments):
            if modifier.upper() != "DTPOFF" or not section.is_debug:
                raise Refusal(f"@{modifier} in data is not supported (compile with -fno-pic)")
        arguments = _OFFSET.sub(" ", arguments).rstrip()  # what stands beside it stays apart
    return f"\t{directive.name}\t{arguments}"


def _alignment(directive: Directive) -> str:
    arguments = [item.strip() for item in directive.arguments.split(",")]
    if len(arguments) > 3 or not all(_NUMBER.fullmatch(item) for item in arguments):
        raise Refusal("an alignment that is not a number")
    if len(arguments) > 1 and arguments[1] not in _CODE_FILL:
        raise Refusal("code is padded with no-operations only")
    return f"\t{directive.name}\t{', '.join(arguments)}"


def _assignment(directive: Directive) -> str:
    name, *values = split_operands(directive.arguments) or [""]
    if len(values) != 1 or not _ASSIGNED.fullmatch(name):
        raise Refusal("an assignment has a symbol and one value")
    value = values[0]
    try:
        expression = parse_expression(value)
    except AsmSyntaxError as error:
        raise Refusal(str(error)) from None
    if "@" in expression:
        raise Refusal("a symbol's value is a plain expression")
    return f"\t{directive.name}\t{name}, {expression}"
