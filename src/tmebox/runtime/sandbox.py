"""Sandbox: a running instance of a module, in a window of its own."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tmebox import _native, abi
from tmebox.errors import Aborted, SandboxBusy, SandboxClosed
from tmebox.memory.windows import WINDOWS
from tmebox.runtime import commands, functions, host_functions, layout
from tmebox.runtime.arena import Arena
from tmebox.runtime.commands import Completed, DirectoryLike, Input, Output
from tmebox.runtime.module import Module, code_byte_at, unwinder_at
from tmebox.runtime.sandbox_memory import Block, SandboxMemory
from tmebox.runtime.system import Abort, Exit, System
from tmebox.runtime.traps import Surroundings, make_trap

_native.configure(busy=SandboxBusy, closed=SandboxClosed)

DEFAULT_MEMORY = "64MiB"
DEFAULT_STACK = "8MiB"
U64 = (1 << 64) - 1
Imports = Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]] | None


class Sandbox:
    """Runs one module, isolated from the host and from every other sandbox.

    Exported functions are attributes: `sandbox.blur(image, out, w, h)`; `call("name", …)` reaches those whose
    names collide with methods, and takes a `timeout`. One call runs at a time: another thread's call
    meanwhile raises SandboxBusy. After a trap every call raises SandboxClosed.
    """

    def __init__(
        self,
        module: Module,
        *,
        memory: int | str = DEFAULT_MEMORY,
        stack: int | str = DEFAULT_STACK,
        timeout: float | None = None,
        imports: Imports = None,
        dirs: Sequence[DirectoryLike] = (),
        env: Mapping[str, str] | None = None,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
    ) -> None:
        """memory: limit on data and heap; host arrays have an allowance of the same size. stack: its size.
        timeout: seconds each call may take (None: no limit). imports: host functions, a mapping or functions
        that carry the right names. dirs, env, stdin, stdout, stderr: what the C library reaches during calls;
        default: no files, no environment, empty input, output to sys.stdout and sys.stderr.

        Raises LimitError, ModuleError (a missing import), or a Trap from the module's constructors.
        """
        if not isinstance(module, Module):
            hint = "use tmebox.compile() or Module.load()"
            raise TypeError(f"expected a tmebox.Module, got {type(module).__name__}: {hint}")
        self.module = module
        memory_bytes = layout.parse_size(memory, "memory")
        self._layout = layout.plan_layout(module, memory_bytes, layout.parse_size(stack, "stack"))
        self._timeout_s = _checked_timeout(timeout)
        self._call_timeout_s = self._timeout_s
        self._dirs, self._env = commands.directories(dirs), dict(env or {})
        self.system = System(
            stdin=stdin,
            stdout=sys.stdout if stdout is None else stdout,
            stderr=sys.stderr if stderr is None else stderr,
            env=self._env,
            directories=self._dirs,
        )
        self._imports = self._bind_imports(host_functions.by_name(imports))
        self._closed = False
        self._program_ran = self._in_program = False
        _native.install_handlers()
        self._window = WINDOWS.acquire()
        self.base = self._window.base
        layout.fill_window(self._window, module, self._layout)
        self._arena = Arena(self._window, self._layout.heap_end, memory_bytes)
        self.memory = SandboxMemory(
            self._window, self._layout.stack_low, self._layout.read_only, lambda: self._arena.mapped_end
        )
        self._start_instance()

    def _start_instance(self) -> None:
        """Make the window's contents callable, and run the library start-up if there is one."""
        around = Surroundings(
            base=self.base,
            stack_low=self._layout.stack_low,
            unwinder=unwinder_at,
            code_byte=code_byte_at,
            exhausted_bytes=lambda: self.system.exhausted_bytes,
            timeout_s=lambda: self._call_timeout_s,
        )

        def trapped(*details: Any) -> BaseException:
            return make_trap(around, *details)

        stack_low, stack_top = self.base + self._layout.stack_low, self.base + abi.STACK_TOP
        self.instance = _native.Instance(self.base, stack_low, stack_top, trapped)
        self.instance.timeout_s = self._timeout_s
        self.instance.set_imports(self._imports)
        for name in self.module.exports:
            self.__dict__.pop(name, None)
        if self.module.initializer is not None and self.module.start is None:
            self.instance.call(self.module.initializer, (), (), b"", -1.0)

    def _bind_imports(self, given: dict[str, Callable[..., Any]]) -> list[host_functions.NativeImport]:
        natives: list[host_functions.NativeImport] = []
        for item in self.module.file.imports:
            if item.name == abi.SYSCALL_IMPORT:
                natives.append((self._system_call, "lp", "l"))
            else:
                function = host_functions.find(item.name, item.prototype, given)
                natives.append(host_functions.wrap(self, item.name, item.prototype, function))
        return natives

    def _system_call(self, number: int, arguments_offset: int) -> int:
        arguments = struct.unpack("<6q", self.memory.read(arguments_offset, 48))
        try:
            return int(self.system.handle(self.memory, number, arguments))
        except Abort:
            raise self._ended("the program called abort()") from None
        except Exit as request:
            if self._in_program:
                raise
            raise self._ended(f"the module called exit({request.code}) during a call") from None

    def _ended(self, message: str) -> Aborted:
        """The sandboxed code ended itself: like after a trap, it cannot be called again."""
        self.instance.condemn()
        return Aborted(message)

    # -- calling ---------------------------------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        module = self.__dict__.get("module")
        if module is None or (name.startswith("__") and name not in module.exports):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        function = self._bind_export(name)
        self.__dict__[name] = function
        return function

    def _bind_export(self, name: str) -> Callable[..., Any]:
        address = self.module.address_of(name)
        prototype = self.module.exports.get(name)
        if prototype is None:
            raise AttributeError(
                f"the prototype of {name!r} is not known (not from a C source): use call_raw()"
            )
        return functions.bind(self, prototype, address)

    def call(self, name: str, *arguments: Any, timeout: float | None = None, **keywords: Any) -> Any:
        """Call an export by name. timeout: seconds for this call, instead of the sandbox's."""
        if timeout is None:
            function = self.__dict__.get(name) if name in self.module.exports else None
            return (function or self._bind_export(name))(*arguments, **keywords)
        address = self.module.address_of(name)
        prototype = self.module.exports.get(name)
        if prototype is None:
            raise AttributeError(
                f"the prototype of {name!r} is not known (not from a C source): use call_raw()"
            )
        seconds = _checked_timeout(timeout)
        self._call_timeout_s = seconds
        try:
            return functions.careful_call(
                self, functions.plan(prototype), address, arguments, keywords, seconds
            )
        finally:
            self._call_timeout_s = self._timeout_s

    def call_raw(self, name: str, *integers: int) -> int:
        """Call an export with up to six 64-bit integers, whatever its prototype; returns rax, unsigned."""
        if len(integers) > len(abi.INTEGER_ARGUMENT_REGISTERS):
            raise TypeError(f"call_raw() passes at most 6 integers, {len(integers)} given")
        return self.instance.call(self.module.address_of(name), [v & U64 for v in integers], (), b"", -1.0)[0]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.module.exports})

    # -- programs --------------------------------------------------------------------------------
    def run(
        self,
        argv: Sequence[str] = ("program",),
        *,
        stdin: Input = None,
        stdout: Output = None,
        stderr: Output = None,
        env: Mapping[str, str] | None = None,
        dirs: Sequence[DirectoryLike] | None = None,
        timeout: float | None = None,
    ) -> Completed:
        """Run the module's main() from a fresh start; `argv[0]` is the program's name.

        stdin: bytes, a binary file, or None (empty). stdout, stderr: a binary file, a callable that gets each
        piece, or None (captured in the result). env, dirs: instead of the sandbox's. Returns
        Completed(exit_code, stdout, stderr). Raises ModuleError for a library, or a Trap.
        """
        environment = self._env if env is None else dict(env)
        preopened = self._dirs if dirs is None else commands.directories(dirs)

        def make_system(out: Output, err: Output) -> System:
            return System(stdin=stdin, stdout=out, stderr=err, env=environment, directories=preopened)

        self._refuse_closed()
        if self._program_ran:
            self.instance.kill()
            layout.fill_window(self._window, self.module, self._layout)
            self._start_instance()
        self._program_ran = self._in_program = True
        seconds = self._timeout_s if timeout is None else _checked_timeout(timeout)
        self._call_timeout_s = seconds
        try:
            return commands.run(self, list(argv), make_system, stdout, stderr, seconds)
        finally:
            self._call_timeout_s = self._timeout_s
            self._in_program = False

    # -- memory ----------------------------------------------------------------------------------
    def array(self, shape: int | tuple[int, ...], dtype: DTypeLike = np.uint8) -> NDArray[Any]:
        """A zeroed NumPy array that lives in the sandbox: passing it copies nothing. Its memory is reused
        once the array and all views of it are gone. It may outlive the sandbox: then it shows zeros."""
        self._refuse_closed()
        item = np.dtype(dtype)
        if item.hasobject:
            raise TypeError(f"arrays of {item} cannot live in a sandbox: they hold Python objects")
        count = math.prod((shape,) if isinstance(shape, int) else shape)
        size_bytes = count * item.itemsize
        if count < 0:
            raise ValueError(f"shape {shape} has a negative size")
        arena = self._arena
        offset = arena.allocate(max(size_bytes, 1))
        block = Block(self._window, lambda: arena.free(offset))
        region = _native.Region(self.base + offset, max(size_bytes, 1), block, True)
        self.memory.watch(region)
        array: NDArray[Any] = (
            np.frombuffer(memoryview(region), np.uint8)[:size_bytes].view(item).reshape(shape)
        )
        array.fill(0)
        return array

    def scratch(self, size_bytes: int) -> int:
        """Offset of temporary room for an argument."""
        self._refuse_closed()
        return self._arena.allocate(size_bytes)

    def release_scratch(self, offset: int) -> None:
        self._arena.free(offset)

    def read_string(self, offset: int) -> bytes:
        return self.memory.string(offset)

    def read_bytes(self, offset: int, size_bytes: int) -> bytes:
        return self.memory.read(offset, size_bytes)

    # -- life ------------------------------------------------------------------------------------
    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Give the window back. Idempotent. Raises SandboxBusy while a call runs. NumPy arrays and views of
        the sandbox's memory stay valid and show zeros."""
        if self._closed:
            return
        self.instance.kill()
        self._closed = True
        self._window.clear(keep_readable=self.memory.detach())
        self.system.close()
        del self._window

    def _refuse_closed(self) -> None:
        if self._closed:
            raise SandboxClosed("the sandbox is closed")

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = (
            "closed"
            if self._closed
            else {0: "idle", 1: "running", 2: "trapped"}.get(self.instance.state, "?")
        )
        return f"<tmebox.Sandbox {state}, window {self.base:#x}, {self.module!r}>"


def _checked_timeout(timeout: float | None) -> float:
    if timeout is None:
        return 0.0
    seconds = float(timeout)
    if not 0 < seconds < 1e9:
        raise ValueError(f"timeout={timeout!r}: a positive number of seconds, or None")
    return seconds
