"""Sandbox: a running instance of a module, in a window of its own."""

from __future__ import annotations

import math
import operator
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tmebox import _native, abi
from tmebox.listing import Text, texts
from tmebox.memory.templates import Template
from tmebox.memory.windows import WINDOWS
from tmebox.once import once
from tmebox.runtime import commands
from tmebox.runtime.attributes import is_attribute, listed_attributes
from tmebox.runtime.calls import functions, host_functions
from tmebox.runtime.calls.received import Guest
from tmebox.runtime.captured import Captured
from tmebox.runtime.columns import Columnar
from tmebox.runtime.commands import Completed
from tmebox.runtime.exports import Exports
from tmebox.runtime.given import (
    DEFAULT_SYSTEM,
    DEFAULTS,
    Options,
    checked_files,
    checked_timeout,
    opened_system,
    system_of,
)
from tmebox.runtime.layout import DEFAULT_MEMORY, DEFAULT_STACK, first_contents, parse_size
from tmebox.runtime.module import Module
from tmebox.runtime.option_types import DirectoryLike, Imports, Input, Output, Size
from tmebox.runtime.sandbox_memory import SandboxMemory
from tmebox.runtime.shapes import sizes
from tmebox.runtime.share import Sharing, share_of
from tmebox.runtime.shared_heap import SharedHeap
from tmebox.runtime.system import System
from tmebox.runtime.system.network import EndpointLike, ListenLike, endpoint, listening
from tmebox.runtime.system.streams import require_output
from tmebox.runtime.system.trace import CallCounts, Refusal
from tmebox.runtime.tenancy import Tenancy
from tmebox.shown import Fact, Shown

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from tmebox.runtime.option_types import SpawnOptions

_Item = TypeVar("_Item", bound=np.generic)
_Shape = SupportsIndex | Sequence[SupportsIndex]

SIZES = frozenset({"memory", "stack"})
"""Options that a snapshot decides."""
MOST_TEMPLATES = 64
"""Combinations of limits that a module's sandboxes are made ready for."""
U64 = (1 << 64) - 1
OWN_ATTRIBUTES = frozenset({"module", "base"})
"""Before they are set, they are not there; an export of such a name is reached by `exports`."""
STATES = {_native.IDLE: "idle", _native.RUNNING: "running", _native.DEAD: "trapped"}


class Sandbox(Sharing, Columnar, Shown):
    """Runs one module, isolated from the host and from every other sandbox.

    Exported functions are attributes: `sandbox.blur(image, out, w, h)`; `exports["name"]` has all of them,
    also those whose names are attributes of any sandbox or begin with an underscore, and `call("name", …)`
    takes a `timeout`. One call runs at a time: another thread's call meanwhile raises SandboxBusy. After a
    trap every call raises SandboxClosed."""

    def __init__(
        self,
        module: Module | Captured,
        *,
        memory: Size = DEFAULT_MEMORY,
        stack: Size = DEFAULT_STACK,
        timeout: float | None = None,
        imports: Imports = None,
        dirs: Sequence[DirectoryLike] = (),
        env: Mapping[str, str] | None = None,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
        files: int | None = None,
        listen: Sequence[ListenLike] = (),
        connect: Sequence[EndpointLike] = (),
        heap: SharedHeap | None = None,
        heap_limit: Size | None = None,
    ) -> None:
        """module: what to run; or a snapshot, to go on from there with its limits on memory and stack.
        memory: limit on data and heap; host arrays have an allowance of the same size. stack: its size.
        timeout: seconds each call may take (None: no limit). imports: host functions, a mapping or functions
        that carry the right names. dirs, env, stdin, stdout, stderr: what the C library reaches during calls;
        default: no files, no environment, empty input, output to sys.stdout and sys.stderr. files: how many
        it may have open at once, standard streams included (default 64, and less where `ulimit -n` is low).
        listen: where it may accept connections, as "HOST:PORT", (HOST, PORT), "unix:PATH", "unix:HOST:GUEST"
        or bound sockets; the host binds them now. Sockets become non-blocking, here as well as there: with
        settimeout(SECONDS) the host can wait in them still. connect: where it may connect to; names are
        resolved now. Default: no network.
        heap: a shared heap that it can own memory of, at most heap_limit (default: all there is).

        Raises OSError (an address cannot be had), LimitError, ModuleError (a missing import), or a Trap from
        the module's constructors.
        """
        self.module, template = _template(module, memory, stack)
        wanted = imports, env, stdin, stdout, stderr
        world = dirs or listen or connect
        if timeout is None and not world and files is None and all(option is None for option in wanted):
            self._given = DEFAULTS  # shared: there may be very many
        else:
            granted, variables = tuple(commands.directories(dirs)), commands.environment(env)
            for stream in (stdout, stderr):
                require_output(stream)
            self._given = Options(
                checked_timeout(timeout), imports, granted, variables, stdin, stdout, stderr,
                checked_files(files), tuple(map(listening, listen)), tuple(map(endpoint, connect)),
            )  # fmt: skip
        self._share = None if heap is None and heap_limit is None else share_of(heap, heap_limit)
        self._program_ran = False
        self._begin(template)

    def _begin(self, template: Template) -> None:
        """Get a window that holds what the template says, and make it callable."""
        module, given = self.module, self._given
        provided = _imported(module, given.imports) if module.imports or given.imports is not None else {}
        # What may be wrong with the world it gets is better known now. Many sandboxes never look at theirs.
        system = opened_system(given) if given.opens else None
        try:
            self._tenancy = tenancy = Tenancy(module, template, given.timeout, self._world(), self._share)
        except BaseException:
            if system is not None:
                system.close()
            raise
        if system is not None:
            tenancy.system = system
        self.base = tenancy.base
        if self._share is not None:
            self._share[0].sandboxes[tenancy.instance.key_id] = weakref.ref(self)
        tenancy.start(self._natives(tenancy, provided) if module.file.imports else ())

    def _world(self) -> Callable[[], System]:
        """What makes its world, when it first looks at it."""
        return DEFAULT_SYSTEM if self._given is DEFAULTS else partial(system_of, self._given)

    def _natives(
        self, tenancy: Tenancy, provided: Mapping[str, Callable[..., Any]]
    ) -> list[host_functions.NativeImport]:
        """What the core calls for each import of the module."""
        natives: list[host_functions.NativeImport] = []
        guest = None
        for item in self.module.file.imports:
            if item.name == abi.SYSCALL_IMPORT:
                natives.append((tenancy.system_call, "lp", "l", item.name, None, True))
                continue
            if item.name == abi.SHARED_IMPORT:
                natives.append("shared_heap")
                continue
            if guest is None:
                guest = Guest(
                    tenancy.instance, tenancy.memory, weakref.ref(self), type(self),
                    lambda: tenancy.callbacks, self.module.by_clang,
                )  # fmt: skip
            natives.append(host_functions.wrap(guest, item.name, item.prototype, provided[item.name]))
        return natives

    # -- calling ---------------------------------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        if name in OWN_ATTRIBUTES or not is_attribute(name):
            known = name not in OWN_ATTRIBUTES and name in self.module.exports
            hint = f": an export that begins with _ is called as exports[{name!r}](…)" if known else ""
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{hint}")
        export, tenancy = self._export(name), self._tenancy
        # What is kept here must not keep the sandbox alive; what is handed out may be all the caller keeps,
        # as in `Sandbox(module).add(3, 4)`. Not by way of __dict__, which as an object would take memory.
        setattr(self, name, export.bind(tenancy.instance, tenancy, None))
        return export.bind(tenancy.instance, tenancy, self)

    def _export(self, name: str) -> _native.Export:
        module = self.module
        export = module.bound.get(name)
        if export is None:
            address = module.address_of(name)
            prototype = module.exports.get(name)
            if prototype is None:
                raise AttributeError(
                    f"the prototype of {name!r} is not known (not from a C source): use call_raw()"
                )
            export = module.bound[name] = functions.export(prototype, address, module.by_clang)
        return export

    @property
    def exports(self) -> Exports:
        """All functions that can be called, by name."""
        return Exports(self)

    def call(self, name: str, *arguments: Any, timeout: float | None = None, **keywords: Any) -> Any:
        """Call an export by name. timeout: seconds for this call, instead of the sandbox's."""
        export, tenancy = self._export(name), self._tenancy
        if timeout is None:
            return export.bind(tenancy.instance, tenancy, None)(*arguments, **keywords)
        seconds = checked_timeout(timeout)
        prototype = self.module.exports[name]
        assert prototype is not None
        with tenancy.calling(seconds):
            plan = functions.plan(prototype, self.module.by_clang)
            address = self.module.address_of(name)
            return functions.careful_call(tenancy, plan, address, arguments, keywords, seconds)

    def call_raw(self, name: str, *integers: int) -> int:
        """Call an export with up to six 64-bit integers, whatever its prototype; returns rax, unsigned."""
        if len(integers) > len(abi.INTEGER_ARGUMENT_REGISTERS):
            raise TypeError(f"call_raw() passes at most 6 integers, {len(integers)} given")
        words = [operator.index(value) & U64 for value in integers]
        return self._tenancy.instance.call(self.module.address_of(name), words, (), b"", -1.0)[0]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *listed_attributes(self.module.exports)})

    # -- programs --------------------------------------------------------------------------------
    def run(
        self,
        argv: Sequence[Text] = ("program",),
        *,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
        env: Mapping[str, str] | None = None,
        dirs: Sequence[DirectoryLike] | None = None,
        timeout: float | None = None,
        trace: Callable[[Refusal], None] | None = None,
        calls: CallCounts | None = None,
    ) -> Completed:
        """Run the module's main() from a fresh start; `argv`, a list, begins with the program's name.

        stdin: bytes, a binary file, or None (empty). stdout, stderr: a binary file, a callable that gets each
        piece, or None (captured in the result). env, dirs: instead of the sandbox's. trace: told of each
        system call that was refused. calls: gets how often which was made. Returns Completed(exit_code,
        stdout, stderr). A sandbox that was spawned from a snapshot starts in another window: its key_id is a
        new one, and what it owned of a shared heap is the host's. Raises ModuleError for a library, or a
        Trap.
        """
        words = texts(argv, "argv")
        environment = self._given.env if env is None else commands.environment(env)
        preopened = self._given.dirs if dirs is None else commands.directories(dirs)

        given = self._given
        network = self._tenancy.system.network if given.listen or given.connect else None

        def make_system(out: Output, err: Output) -> System:
            return System(
                stdin=stdin,
                stdout=out,
                stderr=err,
                env=environment,
                directories=preopened,
                max_open_files=given.files,
                network=network,
                exclusive=True,
                trace=trace,
                calls=calls,
            )

        tenancy = self._tenancy
        tenancy.hold()
        if tenancy.instance.state == _native.DEAD:
            raise tenancy.closed_error()
        if tenancy.template.contents.initialized:
            tenancy = self._begin_again(tenancy)
        elif self._program_ran:
            tenancy.reset()
        self._program_ran = True
        seconds = tenancy.timeout_s if timeout is None else checked_timeout(timeout)
        return commands.run(tenancy, words, make_system, stdout, stderr, seconds)

    def _begin_again(self, ended: Tenancy) -> Tenancy:
        """In another window, as the module begins and not as the snapshot does."""
        layout = ended.layout
        ended.end()
        with ended._alone():
            if self._tenancy is ended:  # else another thread was faster
                for name in self.module.bound:
                    self.__dict__.pop(name, None)
                self.__dict__.pop("memory", None)
                contents = first_contents(self.module, layout.memory_bytes, layout.stack_bytes)
                self._begin(WINDOWS.template(contents))
            return self._tenancy

    @property
    def listening(self) -> tuple[tuple[str, int], ...]:
        """(host, port) of each address that it may accept connections at: of port 0, the one it got."""
        if not self._given.listen:
            return ()
        return tuple(address.for_socket for address, _ in self._tenancy.system.network.bound)

    # -- memory ----------------------------------------------------------------------------------
    @once
    def memory(self) -> SandboxMemory:
        """The sandbox's memory as bytes at window offsets."""
        return self._tenancy.memory

    @overload
    def array(self, shape: _Shape) -> NDArray[np.uint8]: ...
    @overload
    def array(self, shape: _Shape, dtype: type[_Item] | np.dtype[_Item]) -> NDArray[_Item]: ...
    @overload
    def array(self, shape: _Shape, dtype: DTypeLike) -> NDArray[Any]: ...
    def array(self, shape: _Shape, dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """A zeroed NumPy array that lives in the sandbox: passing it copies nothing. Its memory is reused
        once the array and all views of it are gone. It may outlive the sandbox: then it shows zeros.

        While the sandbox runs on another thread, the array changes at any moment. Nothing that checks values
        and reads them again may have it then: not as indexes, mask or counts, and not to be sorted. NumPy
        would go outside of arrays. Give it a copy."""
        item = np.dtype(dtype)
        if item.hasobject:
            raise TypeError(f"arrays of {item} cannot live in a sandbox: they hold Python objects")
        shape_sizes = sizes(shape)
        if any(size < 0 for size in shape_sizes):
            raise ValueError(f"shape {shape} has a negative size")
        size_bytes = math.prod(shape_sizes) * item.itemsize
        region = self._tenancy.allocate(max(size_bytes, 1))
        array: NDArray[Any] = (
            np.frombuffer(memoryview(region), np.uint8)[:size_bytes].view(item).reshape(shape_sizes)
        )
        array.fill(0)
        return array

    # -- life ------------------------------------------------------------------------------------
    def reset(self) -> None:
        """Return data, heap and stack to what a new sandbox of the module, or snapshot, has; also after
        a trap. Files that it opened are closed; window and host arrays stay. Raises SandboxBusy while a
        call runs, SandboxClosed if closed, LimitError if others have taken what it needs, or a Trap from the
        module's constructors."""
        self._tenancy.reset()

    def snapshot(self) -> Snapshot:
        """The state of data and heap, for others to start from; the sandbox goes on. Raises SnapshotError
        while it has files open, SandboxBusy while a call runs, SandboxClosed if closed or after a trap."""
        template = WINDOWS.template(self._tenancy.capture())
        return Snapshot(self.module, template, self._given.as_given())

    @property
    def closed(self) -> bool:
        return self._tenancy.ended

    def close(self) -> None:
        """Give the window back. Idempotent. Raises SandboxBusy while a call runs. NumPy arrays and views of
        the sandbox's memory stay valid and show zeros."""
        self._tenancy.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a sandbox is not copied or pickled: snapshot() is what others can start from")

    def __del__(self) -> None:
        """At once, and not whenever the garbage collector comes by what it held."""
        tenancy = getattr(self, "_tenancy", None)  # absent if it could not be made
        if tenancy is not None:
            tenancy.abandon()

    @property
    def _state(self) -> str:
        return "closed" if self.closed else STATES[self._tenancy.instance.state]

    def _facts(self) -> Iterable[Fact]:
        yield "state", self._state
        yield "window", hex(self.base)
        yield "memory", f"at most {self._tenancy.layout.memory_bytes:,} bytes"
        yield "timeout", f"{self._given.timeout:g} s" if self._given.timeout else None
        yield "exports", tuple(str(prototype or name) for name, prototype in self.module.exports.items())

    def __repr__(self) -> str:
        kind = type(self)
        place = "tmebox" if kind.__module__.startswith("tmebox.") else kind.__module__
        name = f"{place}.{kind.__qualname__}"
        return f"<{name} {self._state}, window {self.base:#x}, {self.module!r}>"


class Snapshot(Captured):
    """A sandbox's state at one moment, for others to start from. Immutable, independent of that sandbox. Made
    by `Sandbox.snapshot()` or `from_bytes`.

    Holds globals and heap, hence also what stdio has buffered. Not the stack, since no call runs; not host
    arrays; not what the host gave (streams, directories, host functions; a pointer to a callback is none).
    """

    def spawn(self, **options: Unpack[SpawnOptions]) -> Sandbox:
        """A new sandbox in this state; no constructor runs. Options are those of `Sandbox`, but for memory
        and stack, which are the snapshot's. Default: what the sandbox had that the snapshot was taken from,
        and what `Sandbox` has if it came from bytes. Raises LimitError, ModuleError (a missing import)."""
        if options:
            return self.configured(**options).spawn()
        return Sandbox(self, **self._options)

    def configured(self, **options: Unpack[SpawnOptions]) -> Snapshot:
        """The same state, with other options for `spawn`."""
        if not SIZES.isdisjoint(options):
            raise TypeError("memory and stack are the snapshot's: take it from a sandbox that has more")
        return Snapshot(self.module, self.template, {**self._options, **options})


def _template(module: Module | Captured, memory: Size, stack: Size) -> tuple[Module, Template]:
    if isinstance(module, Module):
        template = module.templates.get((memory, stack))
        if template is None:
            sizes = parse_size(memory, "memory"), parse_size(stack, "stack")
            template = WINDOWS.template(first_contents(module, *sizes))
            if len(module.templates) < MOST_TEMPLATES:
                module.templates[memory, stack] = template
        return module, template
    if not isinstance(module, Captured):
        hint = "use tmebox.compile() or Module.load()"
        raise TypeError(f"expected a tmebox.Module, got {type(module).__name__}: {hint}")
    return module.module, module.template


def _imported(module: Module, imports: Imports) -> dict[str, Callable[..., Any]]:
    """The host function for each import that is the user's to provide."""
    given = host_functions.by_name(imports)
    return {name: host_functions.find(name, prototype, given) for name, prototype in module.imports.items()}
