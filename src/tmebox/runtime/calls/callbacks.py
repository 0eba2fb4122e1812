"""Python functions that sandboxed code can call by pointer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MethodType
from typing import TYPE_CHECKING, Any, NoReturn

from tmebox import _native, abi
from tmebox.errors import BadReference, LimitError
from tmebox.modulefile.prototypes import Function, Pointer, Prototype, Void
from tmebox.runtime import trampolines
from tmebox.runtime.calls import functions, host_functions
from tmebox.runtime.calls.handles import Handle
from tmebox.runtime.calls.received import Guest
from tmebox.runtime.module import Module, module_at
from tmebox.runtime.sandbox_memory import SandboxMemory
from tmebox.shown import printable
from tmebox.uncopied import Uncopied

if TYPE_CHECKING:
    from typing_extensions import Self

MOST_FUNCTIONS = 256
"""Functions of its own that a sandbox gave, and that are kept ready."""
MOST_PASSED = 1024
"""Functions that a sandbox keeps because they were passed to it as they are."""


def _nobody() -> None:
    """A function that is passed by pointer does not ask which sandbox calls it: whoever passed it knows."""


class Unwind:
    """What is done about an exception of a callback, if nothing else is said."""

    def __repr__(self) -> str:
        return "UNWIND"


UNWIND = Unwind()


class Callback:
    """A Python function that sandboxed code can call by pointer, until it is closed. Made by `Box.callback`.

    Passed where C takes a function pointer of its type. It is open until `close()`, the end of its `with`
    block, or the end of its sandbox, whoever refers to it. A call after that raises BadReference out of the
    sandbox.
    """

    def __init__(
        self, instance: _native.Instance, index: int, address: int, ctype: Function, function: Any
    ) -> None:
        self._instance = instance
        self._index = index
        self.address = address
        self.type = ctype
        self.function = function
        self.closed = False

    def close(self) -> None:
        """Idempotent; also while sandboxed code is in it, which it then returns to."""
        if not self.closed:
            self.closed = True
            self._instance.close_callback(self._index)
            self.function = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a callback belongs to one sandbox, and is not copied or pickled")

    def __repr__(self) -> str:
        return f"<tmebox.Callback {self.type.pointer}{' (closed)' * self.closed}: {self.function!r}>"


class Callbacks(Uncopied):
    """Those of one sandbox, and its handles."""

    def __init__(self, instance: _native.Instance, memory: SandboxMemory, module: Module) -> None:
        self.handles: dict[int, Any] = {}
        self._instance = instance
        self._guest = Guest(instance, memory, _nobody, object, lambda: self, module.by_clang)
        self._base = module.file.base
        self._by_clang = module.by_clang
        self._passed: OrderedDict[tuple[Any, int], Callback] = OrderedDict()
        self._all: dict[int, Callback] = {}
        self._functions: dict[tuple[int, Function], _native.Export] = {}

    def give_pointers(self, make: Callable[[Pointer], _native.PointerMaker | None]) -> None:
        """make: what makes Python values of pointers of a type, which are offsets otherwise."""
        self._guest = replace(self._guest, pointers=make)

    def add(
        self,
        function: Callable[..., Any],
        ctype: Function,
        on_error: Any = UNWIND,
        lengths: Mapping[int, int] | None = None,
    ) -> Callback:
        """on_error: what it returns where it raises; the exception then ends the outer call when that is
        over. UNWIND: it ends the call at once. Raises TypeError, LimitError, SandboxClosed."""
        if not callable(function):
            raise TypeError(f"{ctype.pointer}: {function!r:.100} cannot be called")
        name = getattr(function, "__name__", None) or type(function).__name__
        prototype = Prototype(str(name), ctype.result, ctype.parameters, ctype.variadic)
        fallback = None
        if not isinstance(on_error, Unwind):
            fallback = host_functions.result_words(self._guest, prototype, on_error)
        row = host_functions.wrap(
            self._guest,
            prototype.name,
            prototype,
            self._with_lengths(function, lengths) if lengths else function,
            frozenset(lengths or ()),
        )
        index = self._instance.add_callback(tuple(row), fallback)
        if index < 0:
            raise LimitError(
                f"the sandbox has {abi.MAX_CALLBACKS:,} callbacks, as many as can be: close some that are no "
                "longer needed"
            )
        try:
            address = trampolines.address_of(self._base, index)
        except BaseException:
            self._instance.close_callback(index)
            raise
        callback = self._all[index] = Callback(self._instance, index, address, ctype, function)
        return callback

    def _with_lengths(self, function: Callable[..., Any], lengths: Mapping[int, int]) -> Callable[..., Any]:
        """lengths: which argument has the length of which, in bytes; those arrive as bytes."""
        memory = self._guest.memory

        def call(*arguments: Any) -> Any:
            values = list(arguments)
            for text, length in lengths.items():
                values[text] = memory.read(values[text], values[length]) if values[text] else None
            return function(*values)

        return call

    def passed(self, function: Callable[..., Any], ctype: Function) -> int:
        """The address to pass for a function. It is kept until so many others were passed."""
        key = _identity(function), id(ctype)
        known = self._passed.get(key)
        if known is not None and not known.closed:  # so that it keeps both, and what they are known by
            self._passed.move_to_end(key)
            return known.address
        callback = self._passed[key] = self.add(function, ctype)
        while len(self._passed) > MOST_PASSED:
            try:
                self._passed.popitem(last=False)[1].close()
            except KeyError:  # another thread was faster
                break
        return callback.address

    @property
    def end(self) -> int:
        """The first number that none of them has had: sandboxed code may have kept those of closed ones."""
        return max(tuple(self._all), default=-1) + 1

    def open_at(self, address: int) -> Callback | None:
        """The callback whose trampoline is at an address, if it is open."""
        index = trampolines.index_at(self._base, address)
        found = None if index is None else self._all.get(index)
        return None if found is None or found.closed else found

    def close(self) -> None:
        """With the sandbox, everything is closed, and nothing of the host's kept."""
        for callback in tuple(self._all.values()):
            callback.close()
        self._passed.clear()
        kept = tuple(self.handles.values())  # whose finalizers see what is left: nothing
        self.handles.clear()
        del kept

    def handle(self, target: Any) -> Handle:
        self._instance.lend_handles(self.handles)
        return Handle(self._instance, self.handles, target)

    def code_address(self, value: Any, ctype: Function, what: str) -> int:
        """To pass a callback, a function of this sandbox, or any that Python can call. Raises TypeError,
        BadReference, LimitError."""
        if isinstance(value, (Callback, _native.Function)):
            return self.stored_address(value, ctype, what)
        if not callable(value):
            raise TypeError(f"{what}: expected a function, an address or None, got {type(value).__name__}")
        return self.passed(value, ctype)

    def stored_address(self, value: Any, ctype: Function, what: str) -> int:
        """As `code_address`, to keep it: what is only callable would be forgotten some day."""
        if isinstance(value, Callback):
            return self.address_of(value, ctype, what)
        if isinstance(value, _native.Function):
            if value.instance is not self._instance:
                raise TypeError(f"{what}: {value.__name__}() is a function of another sandbox")
            prototype = value.prototype
            own = Function(prototype.result, prototype.parameters, prototype.variadic)
            require_alike(own, ctype, what)
            return value.address
        if callable(value):
            raise TypeError(f"{what}: a function is stored as a callback: box.callback(function, type)")
        raise TypeError(f"{what}: expected a callback, an address or None, got {type(value).__name__}")

    def function_at(self, host: Any, address: int, ctype: Function) -> Any:
        """A function pointer of sandboxed code, for Python: None, the function that was passed to it, or one
        of its own, to be called. host: what calls of it need. Raises BadReference."""
        if not address:
            return None
        callback = self.open_at(address)
        if callback is not None:
            return callback.function
        export = self._functions.get((address, ctype)) or self._export(address, ctype)
        return export.bind(self._instance, host, None)

    def _export(self, address: int, ctype: Function) -> _native.Export:
        """It keeps the module, so that the function stays what it is."""
        module = module_at(address)
        if module is None or not module.is_function(address, self._base):
            raise BadReference(
                f"sandboxed code gave {address:#x} for a function pointer, where no function is"
            )
        name = module.unwinder.locate(address).function or f"function_at_{address:x}"
        prototype = Prototype(printable(name), ctype.result, ctype.parameters, ctype.variadic)
        export = functions.export(prototype, address, self._by_clang, keeps=module)
        if len(self._functions) < MOST_FUNCTIONS:
            self._functions[address, ctype] = export
        return export

    def word_of(self, handle: Handle, what: str) -> int:
        """To pass it. Raises TypeError, BadReference."""
        if handle.instance is not self._instance:
            raise TypeError(f"{what}: the handle is another sandbox's")
        if handle.closed:
            raise BadReference(f"{what}: the handle is closed")
        return handle.word

    def address_of(self, callback: Callback, ctype: Function, what: str) -> int:
        """To pass it. Raises TypeError, BadReference."""
        if callback._instance is not self._instance:
            raise TypeError(f"{what}: the callback is another sandbox's")
        if callback.closed:
            raise BadReference(f"{what}: the callback is closed")
        require_alike(callback.type, ctype, what)
        return callback.address


def _identity(function: Any) -> Any:
    """Equal for what is the same function; a method is made anew each time that it is asked for."""
    if isinstance(function, MethodType):
        return id(function.__self__), id(function.__func__)
    return id(function)


def require_alike(got: Function, wanted: Function, what: str) -> None:
    """Raise TypeError unless functions of the one type can be called as the other. Names do not count."""
    if shape(got) != shape(wanted):
        raise TypeError(f"{what}: expected a function of type {wanted}, got one of type {got}")


def shape(function: Function) -> tuple[Any, ...]:
    """What callers go by: kinds and sizes, not names."""
    types = [function.result, *(p.type for p in function.parameters)]
    return (function.variadic, *(_shape_of(ctype) for ctype in types))


def _shape_of(ctype: Any) -> Any:
    kind = type(ctype).__name__
    if kind == "Integer":
        return kind, ctype.bits, ctype.signed
    if kind in ("Struct", "Opaque", "Array", "Vector"):
        return str(ctype)
    if isinstance(ctype, Void):
        return kind
    return kind, getattr(ctype, "bits", 0)
