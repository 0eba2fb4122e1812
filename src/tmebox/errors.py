"""Every exception tmebox raises on purpose. They carry data; the message shows place, thing and rule.

Texts in them come from sources and modules, whose author may be anybody: they are printable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tmebox.demangle import demangled
from tmebox.records import dataclass, field
from tmebox.shown import Fact, Shown, printable

IN_TEXTS = "\n\t"
"""What messages of several lines have besides printable characters."""


def _spell_out(thing: Any, *names: str, keep: str = "") -> None:
    """Have nothing but printable characters in its attributes of these names, where they are texts."""
    for name in names:
        text = getattr(thing, name)
        if text is not None:
            object.__setattr__(thing, name, printable(text, keep))


class TmeboxError(Exception):
    """Base of everything tmebox raises. Pickles and copies with all that it carries, so that it can come out
    of another process."""

    def __str__(self) -> str:
        return printable(super().__str__(), keep=IN_TEXTS)

    def __reduce__(self) -> Any:
        return _restored, (type(self), self.args, self._state())

    def _state(self) -> dict[str, Any]:
        """The attributes that go with it."""
        return dict(self.__dict__)


def _restored(kind: type[TmeboxError], args: tuple[Any, ...], state: dict[str, Any]) -> TmeboxError:
    """An error as it was, without what its constructor would make of its message."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


@dataclass(frozen=True)
class Diagnostic:
    """One message of the compiler, the rewriter or the linker. `excerpt`: the lines of source that a compiler
    shows with it, marked by a caret. `notes`: what it adds about other places."""

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    severity: str = "error"
    excerpt: str = field(default="", compare=False)
    notes: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        _spell_out(self, "message", "excerpt", keep=IN_TEXTS)
        _spell_out(self, "file")

    @property
    def place(self) -> str:
        """ "FILE:LINE:COLUMN", as far as it is known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)

    def __str__(self) -> str:
        place = self.place
        return f"{place}: {self.severity}: {self.message}" if place else f"{self.severity}: {self.message}"


class CompileWarning(UserWarning):
    """What the compiler warns of, as `tmebox.compile` passes it on; `diagnostic` has its parts. Silence them
    with flags=("-w",), single ones with "-Wno-…", or all with Python's warning filters."""

    def __init__(self, message: str, diagnostic: Diagnostic | None = None) -> None:
        self.diagnostic = diagnostic
        super().__init__(message)


class CompileError(TmeboxError):
    """Source that cannot become a module: compiler errors, refused instructions, link errors."""

    def __init__(self, message: str, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        self.diagnostics = diagnostics
        super().__init__("\n".join([message, *(f"  {item}" for item in diagnostics)]))


@dataclass(frozen=True)
class Violation:
    """One instruction that a rule of the verifier does not accept."""

    address: int
    rule: str
    instruction: str
    reason: str
    source: str | None = None

    def __post_init__(self) -> None:
        _spell_out(self, "rule", "instruction", "reason", "source")

    def __str__(self) -> str:
        where = f" ({self.source})" if self.source else ""
        return f"{self.address:#010x}{where}: {self.instruction}: {self.rule}: {self.reason}"


ADVICE = {
    "stack-depth-known": "rsp moves by constants only, and only calls write return addresses: save by push, "
    "restore by pop, and go elsewhere by a call or a jump"
}
"""For who wrote the code, by rule: what to write in its place."""


class VerificationError(TmeboxError):
    """Machine code that the verifier does not accept; `violations` holds every one of them."""

    SHOWN = 20

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        self.violations = violations
        shown = [f"  {violation}" for violation in violations[: self.SHOWN]]
        if len(violations) > self.SHOWN:
            shown.append(f"  … and {len(violations) - self.SHOWN} more")
        broken = {violation.rule for violation in violations if violation.source}
        shown += [f"  {rule}: {advice}" for rule, advice in ADVICE.items() if rule in broken]
        count = len(violations)
        super().__init__("\n".join([f"{count} violation{'s' * (count != 1)} of the sandbox's rules", *shown]))


class ModuleError(TmeboxError):
    """A module file that cannot be used: damaged, foreign, of another version, or asking for too much."""


class SnapshotError(TmeboxError):
    """A snapshot that cannot be taken, or bytes that are none: damaged, of another module or version."""


class SandboxBusy(TmeboxError):
    """A sandbox does one thing at a time: this one runs, or is being reset or captured, on another thread."""


class SandboxClosed(TmeboxError):
    """The sandbox was closed, or a trap ended it."""


class BadReference(TmeboxError):
    """Sandboxed code named something of the host that it has not, or has no more: it called a callback that
    is closed, or passed a handle that is closed or forged. Or a function pointer that it gave leads to no
    function."""


class BadResult(TmeboxError, ValueError):
    """What a boxed library returned cannot be what it is taken for: a length beyond a buffer, an index of
    nothing, a value that the library does not document. See `Box.checked`."""


class LimitError(TmeboxError):
    """A limit was reached or an impossible one asked for; the message says how to raise it."""


@dataclass(frozen=True)
class Frame:
    """One function on the sandbox's stack when it trapped, innermost first. `function` is its symbol: of
    C++'s functions the mangled name, which `str` shows as people write it."""

    address: int
    function: str | None
    file: str | None
    line: int | None

    def __post_init__(self) -> None:
        _spell_out(self, "function", "file")

    def __str__(self) -> str:
        place = f" ({self.file}:{self.line})" if self.file else ""
        return f"{demangled(self.function) if self.function else hex(self.address)}{place}"


class Trap(Shown, TmeboxError):
    """A sandbox stopped against its will.

    `kind` is a short kebab-case name; `offset` the window offset accessed, if any; `access` is "read",
    "write" or "execute"; `function`, `file`, `line` say where; `backtrace` lists frames, innermost first
    (worked out when first asked for).
    """

    kind = "trap"

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        access: str | None = None,
        address: int | None = None,
        unwind: Callable[[], tuple[Frame, ...]] | None = None,
    ) -> None:
        self.message = printable(message, keep=IN_TEXTS)
        self.offset = offset
        self.access = access
        self.address = address
        self._unwind = unwind
        self._frames: tuple[Frame, ...] | None = None
        super().__init__(message)

    def _state(self) -> dict[str, Any]:
        """With the backtrace worked out: elsewhere it could not be."""
        return {**self.__dict__, "_frames": self.backtrace, "_unwind": None}

    @property
    def backtrace(self) -> tuple[Frame, ...]:
        if self._frames is None:
            self._frames = self._unwind() if self._unwind is not None else ()
            self._unwind = None
        return self._frames

    @property
    def function(self) -> str | None:
        return self.backtrace[0].function if self.backtrace else None

    @property
    def file(self) -> str | None:
        return self.backtrace[0].file if self.backtrace else None

    @property
    def line(self) -> int | None:
        return self.backtrace[0].line if self.backtrace else None

    @property
    def source(self) -> str | None:
        return f"{self.file}:{self.line}" if self.file else None

    def _facts(self) -> Iterable[Fact]:
        yield "kind", self.kind
        yield "message", self.message
        yield "function", None if self.function is None else demangled(self.function)
        yield "source", self.source
        yield "offset", None if self.offset is None else f"{self.offset:#010x}"
        yield "access", self.access
        yield "called by", self.backtrace[1:]

    def __str__(self) -> str:
        where = f" in {self.backtrace[0]}" if self.backtrace else ""
        return f"{self.message}{where}"


class MemoryFault(Trap):
    """An access to memory the sandbox does not have."""

    kind = "memory-fault"


class IntegrityViolation(MemoryFault):
    """An access to a line of the shared heap that the sandbox does not own, or may only read. Nothing of it
    was done. `offset` is the first foreign byte, `key_id` the sandbox's key, `owner_key_id` that of the
    line's owner; 0: the host, or nobody.

    In a heap with backend="model" also an access to a line of its own that somebody changed in DRAM. `record`
    is what the machine logged, a tme.MachineCheck; None: its memory saw nothing wrong, or it has no machine.

    With backend="tmemk" also an access to a line of its own that somebody else has written to; then
    `owner_key_id` is `key_id`, or `key_id` is 0 where the host accessed it.
    """

    kind = "integrity-violation"

    def __init__(
        self,
        message: str,
        *,
        offset: int | None = None,
        access: str | None = None,
        address: int | None = None,
        unwind: Callable[[], tuple[Frame, ...]] | None = None,
        key_id: int = 0,
        owner_key_id: int = 0,
        record: Any = None,
    ) -> None:
        self.key_id = key_id
        self.record = record
        self.owner_key_id = owner_key_id
        super().__init__(message, offset=offset, access=access, address=address, unwind=unwind)

    def _facts(self) -> Iterable[Fact]:
        yield from super()._facts()
        yield "key", self.key_id
        yield "owner", self.owner_key_id
        if self.record is not None:
            yield "machine check", f"bank {self.record.bank}, status {self.record.status:#018x}"


class StackOverflow(MemoryFault):
    """The stack ran into its guard."""

    kind = "stack-overflow"


class IllegalInstruction(Trap):
    """An instruction the CPU refuses, or `__builtin_trap()`."""

    kind = "illegal-instruction"


class ArithmeticTrap(Trap):
    """Integer division by zero or overflow, or an unmasked floating-point exception."""

    kind = "arithmetic"


class ControlFlowViolation(Trap):
    """A return, indirect call or jump to somewhere it may not go."""

    kind = "control-flow-violation"


class Timeout(Trap):
    """The call ran longer than its time limit."""

    kind = "timeout"


@dataclass(frozen=True)
class StandingThread:
    """A thread of a sandbox that waits for good. `number` is 1 for the one that the host's call runs on;
    `name` what the program called it, or "". `waits_at` is the offset of what it waits for, 0 for none.
    Innermost frames first."""

    number: int
    name: str
    waits_at: int
    backtrace: tuple[Frame, ...]

    def __post_init__(self) -> None:
        _spell_out(self, "name")

    @property
    def label(self) -> str:
        return f"'{self.name}', number {self.number}" if self.name else f"number {self.number}"

    def __str__(self) -> str:
        where = ", called by ".join(map(str, self.backtrace))
        return f"{self.label}, at {where}" if where else self.label


class Deadlock(Trap):
    """Every thread of the sandbox waits for another one, or for a lock that it has itself. `threads` says
    where each stands; `backtrace` is of the one that waited last."""

    kind = "deadlock"

    _standing: Callable[[], tuple[StandingThread, ...]] = tuple
    _threads: tuple[StandingThread, ...] | None = None

    @classmethod
    def of(
        cls,
        message: str,
        unwind: Callable[[], tuple[Frame, ...]],
        standing: Callable[[], tuple[StandingThread, ...]],
    ) -> Deadlock:
        """standing: works out where each thread stands, once somebody asks."""
        made = cls(message, unwind=unwind)
        made._standing = standing
        return made

    @property
    def threads(self) -> tuple[StandingThread, ...]:
        if self._threads is None:
            self._threads = self._standing()
            self._standing = tuple
        return self._threads

    def _state(self) -> dict[str, Any]:
        threads = self.threads
        return {**super()._state(), "_threads": threads, "_standing": tuple}

    def _facts(self) -> Iterable[Fact]:
        yield from super()._facts()
        for thread in self.threads:
            yield "thread", str(thread)


class OutOfMemory(Trap):
    """The sandbox needed more memory than its limit."""

    kind = "out-of-memory"


class Aborted(Trap):
    """The sandboxed program called `abort()`, or failed an assertion."""

    kind = "aborted"
