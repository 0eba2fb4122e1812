"""Rewrite: assembly text → assembly text in which every access and every branch is confined.

The rules are in docs/design.md, section 4. Nothing here is trusted: the verifier decides from the bytes.
"""

from __future__ import annotations

from collections.abc import Set

from tmebox.abi import BASES, ISOLATIONS, TWIN_DISTANCE, form
from tmebox.errors import CompileError, Diagnostic
from tmebox.records import replace
from tmebox.toolchain import steps
from tmebox.toolchain.rewrite import debug, embedded, frames, hand_written
from tmebox.toolchain.rewrite.after_calls import AFTER_CALL, BEFORE_RETURN, R11KeptError, followed
from tmebox.toolchain.rewrite.analysis.liveness import FlowGraph
from tmebox.toolchain.rewrite.asm import (
    AsmSyntaxError,
    Directive,
    InlineAssembly,
    Instruction,
    Label,
    LineMarker,
    normalized,
    split_operands,
    symbols,
)
from tmebox.toolchain.rewrite.control import jump_mask
from tmebox.toolchain.rewrite.directives import (
    ALIGNMENTS,
    ASSIGNMENTS,
    DATA,
    SECTIONS,
    SHARED,
    SectionState,
    rewrite_directive,
)
from tmebox.toolchain.rewrite.emit import LABEL_PREFIX, Emitter
from tmebox.toolchain.rewrite.finish import Origin, finished
from tmebox.toolchain.rewrite.landing_pads import LandingPads, is_table
from tmebox.toolchain.rewrite.places import PLACE, Places, is_place
from tmebox.toolchain.rewrite.prepared import Prepared, prepare
from tmebox.toolchain.rewrite.replacement import Load, Refusal, Replacement, Shape
from tmebox.toolchain.rewrite.speed.borrow import waited_for
from tmebox.toolchain.rewrite.speed.jump_tables import JumpTables
from tmebox.toolchain.rewrite.static_stacks import made_static
from tmebox.toolchain.sections import label_claims


def rewrite(text: str, *, file: str, isolation: str = "code+data", base: str = "gs") -> str:
    """Instrument a compiler's (or a person's) assembly.

    `file` is what messages call the text. `isolation` "data" leaves returns and branches unchecked. `base`:
    "gs" or "r15", where the window's base is; for r15 the text must leave r14 and r15 alone.
    Raises CompileError with one Diagnostic per refused line, at its C source line where that is known.
    """
    if isolation not in ISOLATIONS:
        raise ValueError(f"isolation is one of {', '.join(ISOLATIONS)}, not {isolation!r}")
    if base not in BASES:
        raise ValueError(f"base is one of {', '.join(BASES)}, not {base!r}")
    try:
        text = normalized(text)
        return _Rewriting(text, file, isolation, base).run()
    except AsmSyntaxError as error:
        raise CompileError("assembly that cannot run in a sandbox", (Diagnostic(str(error), file),)) from None
    except R11KeptError:
        return _Rewriting(text, file, isolation, base, keeps_r11=True).run()


class _Rewriting:
    """One file: first read it all (sections, labels, flow), then place the instructions."""

    def __init__(self, text: str, file: str, isolation: str, base: str, *, keeps_r11: bool = False) -> None:
        self._has_depth = form(base, isolation) == "twin"
        self._keeps_r11 = keeps_r11
        self._saves_r11 = keeps_r11 and not self._has_depth  # no return overwrites it there
        self._is_clang = "-- Begin function" in text or "clang version" in text
        if self._has_depth:
            text = frames.at_distance(text if self._is_clang else hand_written.with_twin(made_static(text)))
        self._text = text
        self._base = "gs" if self._has_depth else base
        self._is_compiled = self._is_clang or '.ident\t"GCC:' in text
        self._places = Places(file, text)
        self._file = file
        self._sections = SectionState()
        self._graph = FlowGraph(
            is_conventional=self._is_compiled,
            marks_tail_calls=self._is_clang,
            unwinds=".cfi_startproc" in text and _NO_EXCEPTIONS not in text,
            keeps_r11=keeps_r11,
        )
        self._emitter = Emitter(self._graph, isolation, self._base, has_depth=self._has_depth)
        self._is_checked = isolation == "code+data"
        self._tables = JumpTables()
        self._landing_pads = LandingPads()
        self._loads: dict[int, Load] = {}
        self._functions: set[str] = set()
        self._objects: set[str] = set()
        self._globals: set[str] = set()
        self._subtracted: dict[str, None] = {}
        """Symbols that stand beside others in one expression, as in a difference, in their order."""
        self._diagnostics: list[Diagnostic] = []
        self._placements: list[_Placement] = []
        self._code_ends = 0
        """How many placements come before the debug information."""
        self._entries: dict[int, str] = {}
        """Numbers of the placements that are part of a table, and its name."""
        self._held: list[embedded.Held] = []
        self._lost = 0
        """Of r11 and the flags, what nothing has written since the last call."""
        self._runs_on = False
        """Whether what comes next in the section is reached from the instruction before it."""
        self._targets: frozenset[str] | None = None
        self._data: list[str] = []
        self._moved: set[str] = set()
        """Data that stood in code, and its labels."""
        self._is_inline = False
        self._has_procedures = "\t.cfi_startproc" in text
        self._is_by_hand = self._has_procedures
        """Outside of a compiler's functions, if it tells where they are."""
        self._line = 0
        self._prefix = ""

    def run(self) -> str:
        self._read(self._text)
        if not self._diagnostics:
            self._place()
        if self._diagnostics:
            count = len(self._diagnostics)
            message = f"{count} line{'s' * (count != 1)} of assembly that cannot run in a sandbox"
            raise CompileError(message, tuple(self._diagnostics))
        result = self._emitter.text() + "\n"
        steps.look()
        origin = Origin(self._is_clang, self._is_compiled, self._base, self._has_depth, "%ymm" in self._text)
        try:
            result = finished(result, origin, self._graph.arrivals(), self._landing_pads.begins)
        except Refusal as refusal:
            raise CompileError(f"{self._file}: {refusal}") from None
        if self._data:
            result += "\n".join([embedded.SECTION, *self._data, ""])
        claimed = [name for name in self._subtracted if self._graph.is_label(name)]
        debug_lines = [str(item) for _, item, _, _ in self._placements[self._code_ends :]]
        result += "\n".join([*debug_lines, ""]) if debug_lines else ""
        return result + label_claims(claimed) if claimed else result

    def _read(self, text: str) -> None:
        code, about = debug.apart(text)
        self._read_lines(1, code)
        first = 1 + code.count("\n")
        self._try_to_release()
        self._code_ends = len(self._placements)
        for is_plain, piece in debug.pieces(about):
            if is_plain and self._sections.current.is_debug and not self._prefix:
                self._placements.append((first, piece.removesuffix("\n"), 0, 0))
            else:
                self._read_lines(first, piece)
            first += piece.count("\n")
        self._try_to_release()
        if any(isinstance(item, Replacement) for _, item, _, _ in self._placements[self._code_ends :]):
            self._code_ends = len(self._placements)
        if self._prefix:
            self._refuse(Refusal(f"`{self._prefix}` without an instruction"))

    def _read_lines(self, first: int, text: str) -> None:
        lines = text.split("\n")
        for place, line in enumerate(steps.watched(lines)):
            if self._sections.current.is_debug and debug.is_plain(line) and not self._prefix:
                self._placements.append((first + place, line, 0, 0))
                continue
            following = lines[place + 1] if place + 1 < len(lines) else ""
            self._read_line(first + place, line, following)

    def _read_line(self, number: int, line: str, following: str) -> None:
        if line.startswith("\t#") and not self._prefix:
            if line.startswith(("\t#APP", "\t#NO_APP")):
                self._is_inline = line.startswith("\t#APP")
            return
        if is_place(line) and not self._prefix:
            self._add_place(number, line)
            return
        if ".byte" in line and self._sections.current.is_code:
            meant = embedded.prefix_of(line, following)
            if meant is not None and self._is_reached():
                self._prefix = meant
                return
        self._line = number
        joined = f"{self._prefix} {line}" if self._prefix else line
        self._prefix = ""
        for statement in prepare(joined, self._base):
            try:
                self._add(statement)
            except Refusal as refusal:
                self._refuse(refusal)

    def _add_place(self, number: int, line: str) -> None:
        self._line = number
        if self._sections.current.is_code:
            self._try_to_release()
        self._places.note(number, line[len(PLACE) :])
        self._add_text(line)

    def _place(self) -> None:
        emitter = self._emitter
        if self._is_clang and self._base == "gs":
            emitter.hurry(waited_for(self._graph, self._loads))
        moved = self._move_tables() if self._is_checked else frozenset()
        for line, item, index, mask in steps.watched(self._placements[: self._code_ends]):
            self._line = line
            if isinstance(item, Replacement):
                self._place_instruction(item, index, mask)
            elif mask == _SECTION:
                emitter.change_section(item)
            elif mask == _SIZE:
                emitter.end_function(item)
            elif mask != _ENTRY or index not in moved:
                emitter.verbatim(item)

    def _place_instruction(self, item: Replacement, index: int, mask: int) -> None:
        if self._saves_r11 and item.shape is Shape.RETURN:
            self._emitter.verbatim(BEFORE_RETURN)
        try:
            self._emitter.instruction(item, index, mask)
        except Refusal as refusal:
            self._refuse(Refusal(f"`{self._places.shown(self._line)}`: {refusal}"))
        if self._saves_r11 and item.flow.calls:
            self._emitter.verbatim(AFTER_CALL)

    def _move_tables(self) -> frozenset[int]:
        """Let jumps go through the tables that they can; returns the placements that nothing reads then."""
        usable = self._tables.usable(self._graph.is_label)
        jumps = {
            item.through[0]
            for _, item, _, _ in self._placements
            if isinstance(item, Replacement) and item.through is not None
        }
        self._emitter.use_tables(usable, self._tables.group)
        private = {
            name for name in usable.keys() & jumps if self._tables.is_private(name, self._graph.taken())
        }
        return frozenset(number for number, name in self._entries.items() if name in private)

    def _refuse(self, refusal: Refusal) -> None:
        self._diagnostics.append(self._places.diagnostic(str(refusal).replace("\t", " "), self._line))

    def _add(self, statement: Prepared) -> None:
        """Labels, alignments and data in code are kept until it is known what they belong to."""
        if self._sections.current.is_code:
            if isinstance(statement, Label) or (
                isinstance(statement, Directive) and (statement.name in DATA or statement.name in ALIGNMENTS)
            ):
                self._held.append((self._line, statement))
                return
            if not isinstance(statement, Directive) or statement.name not in embedded.NEUTRAL:
                self._release()
        self._add_now(statement)

    def _is_reached(self) -> bool:
        """Whether code runs into what comes next, or branches to a label that is held."""
        return self._runs_on or embedded.Chunk(embedded.labels_of(self._held)).is_reached(self._entered())

    def _try_to_release(self) -> None:
        try:
            self._release()
        except Refusal as refusal:
            self._refuse(refusal)

    def _release(self) -> None:
        """Place what is held. Raises Refusal."""
        if not self._held:
            return
        held, self._held = self._held, []
        here = self._line
        data, rest = embedded.chunks(held, DATA)
        for chunk in data:
            self._line = chunk.items[0][0]
            if self._runs_on or chunk.is_reached(self._entered()):
                self._add_decoded(chunk)
            else:
                self._move(chunk)
        for self._line, statement in rest:
            self._add_now(statement)
        self._line = here

    def _entered(self) -> Set[str]:
        """Labels of code, as far as their own directives and the branches of the whole text tell."""
        return self._functions | (self._globals - self._objects) | self._branch_targets()

    def _branch_targets(self) -> frozenset[str]:
        """Asked for only where there is data in code."""
        if self._targets is None:
            found = embedded.Targets()
            for number, line in enumerate(self._text.split("\n"), 1):
                for statement in prepare(line, self._base):
                    if isinstance(statement, Label):
                        found.label(statement.name, number)
                    elif isinstance(statement, Replacement):
                        called = statement.text.split()[-1] if statement.shape is Shape.CALL else ""
                        found.branch(statement.flow.target or called)
            self._targets = frozenset(found.keys)
        return self._targets

    def _add_decoded(self, chunk: embedded.Chunk) -> None:
        data = []
        for self._line, statement in chunk.items:
            if isinstance(statement, Directive) and statement.name in DATA:
                data.append(statement)
            else:
                self._add_now(statement)
        for text in embedded.instructions(data):
            for prepared in prepare(text, self._base):
                if isinstance(prepared, Refusal):
                    raise Refusal(f"data that code runs into: {prepared}")
                self._add_now(prepared)

    def _move(self, chunk: embedded.Chunk) -> None:
        self._moved.update(chunk.labels)
        for self._line, statement in chunk.items:
            if isinstance(statement, Directive) and statement.name in DATA:
                self._take_addresses(statement.arguments)
                self._data.append(rewrite_directive(statement, embedded.READ_ONLY) or "")
            else:
                self._data.append(f"{statement.name}:" if isinstance(statement, Label) else str(statement))

    def _add_now(self, statement: Prepared) -> None:
        match statement:
            case Replacement():
                self._add_instruction(statement)
            case Directive():
                self._add_directive(statement)
            case Label(name):
                self._add_label(name)
            case InlineAssembly(begins):
                self._is_inline = begins
            case LineMarker():
                self._places.note(self._line, statement)
            case Instruction():
                self._prefix = " ".join(statement.prefixes)
            case Refusal():
                raise statement

    def _take_addresses(self, arguments: str) -> None:
        self._graph.take_addresses(symbols(arguments))
        if "-" not in arguments:
            return
        for expression in split_operands(arguments):
            if len(names := symbols(expression)) > 1:
                self._subtracted.update(dict.fromkeys(names))

    def _add_text(self, text: str, kind: int = 0) -> None:
        self._placements.append((self._line, text, 0, kind))

    def _add_instruction(self, replacement: Replacement) -> None:
        section = self._sections.current
        self._runs_on = replacement.flow.falls_through
        if self._has_depth and "movl\t%esp, %" in replacement.text:  # as a number, where the twin is
            text = replacement.text.replace("movl\t%esp, %", f"leal\t{-TWIN_DISTANCE}(%rsp), %")
            replacement = replace(replacement, text=text)
        if self._has_depth:
            hand_written.refuse_unknown(replacement.text, replacement.operand)
        if not section.is_code:
            raise Refusal(f"an instruction in section `{section.name}`, which is not executable")
        self._lost = followed(replacement, self._lost, self._keeps_r11)
        index = self._graph.add(replacement.flow, section.name)
        if len(replacement.flow.takes) > 1:
            self._subtracted.update(dict.fromkeys(replacement.flow.takes))
        if replacement.load is not None and not self._is_inline:
            self._loads[index] = replacement.load
        mask = 0
        if replacement.shape is Shape.INDIRECT:
            mask = jump_mask(replacement, self._is_clang and not self._is_inline)
            if replacement.through is None:
                self._tables.read_otherwise(symbols(replacement.operand))
        self._placements.append((self._line, replacement, index, mask))

    def _add_label(self, name: str) -> None:
        if name.startswith(LABEL_PREFIX):
            raise Refusal(f"`{name}`: labels that start with `{LABEL_PREFIX}` are the rewriter's")
        is_compilers = self._is_compiled and not self._is_inline and not self._is_by_hand
        if is_compilers and name.startswith(".L"):  # below a call that does not return
            self._lost = 0
        current = self._sections.current
        if current.is_code:
            self._runs_on = True
        else:
            self._tables.begin(name, current)
            if is_table(current):
                self._landing_pads.label(name)
        section = current.name
        if name in self._functions:
            self._graph.begin_function(name, section)
        self._graph.add_label(name, section)
        self._add_text(f"{name}:")

    def _add_directive(self, directive: Directive) -> None:
        name = directive.name
        if name == ".loc":
            self._places.note(self._line, directive.arguments)
            self._add_text(str(directive))
            return
        if name.endswith("proc") and self._has_procedures:
            self._is_by_hand = name == ".cfi_endproc"
        if name in SECTIONS or name in ALIGNMENTS:
            self._tables.end()
        if name in SECTIONS:
            self._runs_on = False
            self._add_text(self._sections.apply(directive), _SECTION)
            return
        if name == ".file":
            self._places.add_file(directive)
        elif name == ".type" and "function" in directive.arguments.lower():
            self._functions.add(directive.arguments.split(",")[0].strip())
        elif name == ".size" and directive.arguments.split(",")[0].strip() in self._moved:
            self._data.append(str(directive))
            return
        elif name == ".type":
            self._objects.add(directive.arguments.split(",")[0].strip())
        elif name in SHARED:
            self._globals.update(symbols(directive.arguments))
            self._tables.share(symbols(directive.arguments))
        elif name in DATA and is_table(self._sections.current):
            named = self._landing_pads.named(directive)
            self._graph.take_addresses(named)
            self._subtracted.update(dict.fromkeys(named))
        elif name in ASSIGNMENTS or (name in DATA and not self._sections.current.is_debug):
            self._take_addresses(directive.arguments)
        ends_function = name == ".size" and self._sections.current.is_code
        if ends_function:
            self._runs_on = False
            self._graph.end_function(self._sections.current.name)
        text = rewrite_directive(directive, self._sections.current)
        table = self._tables.add(directive) if name in DATA else None
        if table is not None and text is not None:
            number = len(self._entries)
            self._entries[number] = table
            self._placements.append((self._line, text, number, _ENTRY))
        elif text is not None:
            self._add_text(text, _SIZE if ends_function else 0)


_NO_EXCEPTIONS = "\t.cfi_sections .debug_frame\n"
"""In a text that has no tables by which an exception could pass through its functions."""
_SECTION = 1
_SIZE = 2
_ENTRY = 3
_Placement = tuple[int, "Replacement | str", int, int]
"""Line, what to place, index in the flow graph or among a file's table entries, and the mask of a jump or the
kind of text."""
