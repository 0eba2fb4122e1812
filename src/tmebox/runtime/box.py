"""Box: a sandbox with a typed face, for libraries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from tmebox import _native
from tmebox.listing import encoded
from tmebox.memory.templates import Template
from tmebox.modulefile.prototypes import Function, Integer, Pointer, size_of
from tmebox.runtime.calls import functions
from tmebox.runtime.calls.callbacks import UNWIND, Callback
from tmebox.runtime.calls.functions import is_string
from tmebox.runtime.calls.handles import Handle
from tmebox.runtime.calls.named import TYPES, Names, names_of
from tmebox.runtime.calls.scalars import to_offset
from tmebox.runtime.calls.values import pack_whole, with_texts
from tmebox.runtime.checked import Checked
from tmebox.runtime.sandbox import Sandbox
from tmebox.runtime.typed import pointers
from tmebox.shown import some_of


class Box(Sandbox):
    """A sandbox for a C library: functions that go by pointer, objects that C passes back, memory with types.

    Made like a `Sandbox`. Pointers that the library returns are `Pointer`s, and None for NULL; but a
    `const char *` is a str. Exports that are named like attributes of it, or begin with an underscore, are
    reached by `exports`.
    """

    # -- what the library gets of the host -----------------------------------------------------------
    def callback(
        self,
        function: Callable[..., Any],
        type: str | Function,
        *,
        on_error: Any = UNWIND,
        lengths: Mapping[int, int] | None = None,
    ) -> Callback:
        """A Python function that the library can call by pointer until `close()`, or the end of a `with`
        block.

        type: the name of a function pointer's type, or "function.parameter". A function that is passed as it
        is needs none, but the sandbox keeps only the last 1,024 of those.
        on_error: what the library gets where the function raises; the exception then leaves the call of the
        library when that returns. Default: it leaves at once, through the library, which finishes nothing.
        lengths: {1: 2} says that argument 1 (of 0, 1, 2 …) is a pointer to as many bytes as argument 2 says,
        and arrives as such. Raises TypeError, LimitError, SandboxClosed.
        """
        ctype = type if isinstance(type, Function) else self._names.function(type)
        return self._tenancy.callbacks.add(function, ctype, on_error, lengths)

    def handle(self, target: Any) -> Handle:
        """What stands for any Python object where C takes a `void *`. Functions of the host get the object.
        It lasts until `close()`, or the end of a `with` block."""
        self._tenancy.hold()
        return self._tenancy.callbacks.handle(target)

    # -- memory with types -----------------------------------------------------------------------------
    def new(self, type: str, value: Any = None, /, **members: Any) -> pointers.Pointer:
        """Memory for a value, zeroed or set: `new("struct point", x=1, y=2)`, `new("int[100]")`,
        `new("char *[2]", [b"a", b"b"])`. It is there until the pointer and all that was got from it are gone,
        or until `free()`. The library may use it until then, and must not free it. Raises TypeError,
        OverflowError, LimitError."""
        if members:
            if value is not None:
                raise TypeError("a value, or members of it, not both")
            value = members
        quick = self._quick.get(type)
        made: pointers.Pointer | None = None if quick is None else quick(value)
        if made is None:
            made = self._carefully_new(type, value)
        return made

    def _carefully_new(self, type: str, value: Any) -> pointers.Pointer:
        """As `new`; what the core can make by itself it makes from then on."""
        tenancy, room = self._tenancy, self._names.room(type)
        maker = pointers.maker(room.target)
        kept: list[Any] = []
        extent = tenancy.scratch(max(room.size_bytes, 1))  # first: a type may be larger than the sandbox
        data = bytes(room.size_bytes)
        if value is not None:

            def place(given: Any, ctype: Pointer, what: str) -> Any:
                if isinstance(ctype.target, Function):
                    return given  # packing it says that a callback is needed
                kept.append(self._text(given, what))
                return kept[-1]

            what = f"{room.type}"
            data = pack_whole(room.type, with_texts(room.type, value, place, what), tenancy, what)
        if len(data) > room.size_bytes:  # items behind it, as many as were given
            extent = tenancy.scratch(len(data))
        tenancy.instance.write(extent.start, data)
        if room.layout is not None and len(self._quick) < MOST_QUICK:
            extents = tenancy.arena.extents
            self._quick[type] = partial(room.layout.new, maker, tenancy.instance, tenancy, extents)
        made: pointers.Pointer = maker(tenancy.instance, tenancy, extent.start, room.count, (extent, kept))
        return made

    def text(self, text: str | bytes) -> pointers.Pointer:
        """Memory with a text and a NUL, as `new` makes it."""
        return self._text(text, "text")

    def _text(self, text: str | bytes, what: str) -> pointers.Pointer:
        data = (encoded(text, what) if isinstance(text, str) else bytes(text)) + b"\0"
        room = self._tenancy.scratch(len(data))
        self.memory.write(room.start, data)
        return pointers.Pointer(self._tenancy, room.start, CHAR, len(data), room)

    def malloc(self, size: int, type: str = "void") -> pointers.Pointer | None:
        """Memory of the library's own heap, which it may free; None if there is none left. Raises
        AttributeError for a module that does not export malloc, as what `tmebox bind` makes does."""
        offset = self.call_raw("malloc", size) & 0xFFFF_FFFF
        return pointers.pointer(self._tenancy, offset, Pointer(self._names.find(type)))

    def free(self, pointer: pointers.Pointer | None) -> None:
        """Of the library's own heap. A library that is given nonsense harms itself alone."""
        if pointer is not None:
            if pointer._instance is not self._tenancy.instance:
                raise TypeError("a pointer into another sandbox")
            self.call_raw("free", pointer._offset)
            pointer._freed = True

    def cast(self, type: str, value: Any) -> pointers.Pointer | None:
        """A pointer or an offset as a pointer of another type: `cast("struct point *", p)`. Raises TypeError,
        OverflowError."""
        ctype = self._names.find(type)
        if not isinstance(ctype, Pointer):
            raise TypeError(f"cast() makes pointers, and {type} is none")
        if isinstance(value, _native.Pointer) and value._instance is not self._tenancy.instance:
            raise TypeError("a pointer into another sandbox")
        offset = value._offset if isinstance(value, _native.Pointer) else to_offset(value, "cast()")
        made = pointers.pointer(self._tenancy, offset, ctype)
        if made is not None and isinstance(value, pointers.Pointer):
            object.__setattr__(made, "_keeps", value)
        return made

    def returning(self, name: str, kind: type) -> Callable[..., Any]:
        """A function of the library whose `const char *` comes back as bytes up to its NUL, or as a
        tmebox.Pointer for data whose length something else tells, where `box.name` makes a str of it. None
        for NULL. Raises TypeError for a function that returns something else, and another kind."""
        prototype = self.module.exports.get(name)
        if prototype is None or not is_string(prototype.result):
            raise TypeError(f"{name}() returns no const char *")
        if kind not in (str, bytes, pointers.Pointer):
            raise TypeError(
                f"a const char * comes back as str, bytes or tmebox.Pointer, not as {kind!r:.100}"
            )
        if kind is str:
            return self.exports[name]
        key = f"{name} as a pointer"  # no name of a function
        export = self.module.bound.get(key)
        if export is None:
            export = self.module.bound[key] = functions.export(
                replace(prototype, result=Pointer(CHAR)),
                self.module.address_of(name),
                self.module.by_clang,
                finish=pointers.maker(CHAR),
            )
        function = export.bind(self._tenancy.instance, self._tenancy, self)
        if kind is pointers.Pointer:
            return function

        def as_bytes(*arguments: Any, **keywords: Any) -> bytes | None:
            found: pointers.Pointer | None = function(*arguments, **keywords)
            return None if found is None else found.string()

        return as_bytes

    def sizeof(self, type: str) -> int:
        """In bytes."""
        return size_of(self._names.find(type))

    def variable(self, name: str) -> pointers.Pointer:
        """A pointer to a global variable of the library: `box.variable("verbose")[0] = 1`. For what `tmebox
        bind` found in the header. Raises AttributeError for others."""
        if VARIABLE + name not in self.module.exports:
            known = [e[len(VARIABLE) :] for e in self.module.exports if e.startswith(VARIABLE)]
            raise AttributeError(f"no variable {name!r} is bound (variables: {some_of(known)})")
        found: pointers.Pointer = self.exports[VARIABLE + name]()
        return found

    @property
    def errno(self) -> int:
        """What the library's last failed call of the C library left. Raises AttributeError where the module
        does not export __errno_location."""
        place = self.call_raw("__errno_location") & 0xFFFF_FFFF
        return int.from_bytes(self.memory.read(place, 4), "little", signed=True)

    @property
    def checked(self) -> Checked:
        """Makes what the library returned fit for use, or raises BadResult:
        `data[box.checked.index(box.find(data), data)]`."""
        return Checked(self.memory)

    # -- how functions are made ------------------------------------------------------------------------
    def _begin(self, template: Template) -> None:
        super()._begin(template)
        self._quick: dict[str, Callable[[Any], Any]] = {}
        tenancy, names = self._tenancy, self._names

        def maker(ctype: Pointer) -> _native.PointerMaker | None:
            if isinstance(ctype.target, Function):
                return None
            return pointers.maker_in(tenancy, names.full(ctype.target))

        tenancy.callbacks.give_pointers(maker)

    def _export(self, name: str) -> _native.Export:
        prototype = self.module.exports.get(name)
        result = None if prototype is None else prototype.result
        if prototype is None or not isinstance(result, Pointer) or is_string(result):
            return super()._export(name)
        if isinstance(result.target, Function):
            return super()._export(name)
        key = f"{name} with types"  # no name of a function
        export = self.module.bound.get(key)
        if export is None:
            target = self._names.full(result.target)
            export = self.module.bound[key] = functions.export(
                prototype,
                self.module.address_of(name),
                self.module.by_clang,
                finish=pointers.maker(target),
            )
        return export

    @property
    def _names(self) -> Names:
        return names_of(self.module)


MOST_QUICK = 1024
"""Names of types whose values the core makes by itself."""
CHAR = Integer(8, True, "char")
VARIABLE = "tmebox_variable_"
"""What begins the name of a function that gives the address of a global variable."""
HIDDEN = (VARIABLE, TYPES)
OF_THE_C_LIBRARY = ("malloc", "free", "__errno_location")
"""What Box needs of it, under their own names."""
