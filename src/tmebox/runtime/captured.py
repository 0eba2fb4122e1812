"""What a sandbox's memory held at one moment, in this process and as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tmebox import _native, abi
from tmebox.errors import LimitError, SnapshotError
from tmebox.memory.contents import Layout
from tmebox.memory.templates import Template
from tmebox.memory.windows import WINDOWS
from tmebox.modulefile.snapshot import Pages, SnapshotFile, identity
from tmebox.runtime.layout import (
    DEFAULT_MEMORY,
    DEFAULT_STACK,
    LARGEST_MEMORY,
    LARGEST_STACK,
    later_contents,
    lay_out,
    parse_size,
)
from tmebox.runtime.module import Module
from tmebox.shown import Fact, Shown

if TYPE_CHECKING:
    from typing_extensions import Self

    from tmebox.runtime.option_types import Size


class Captured(Shown):
    """A module, and the template of what was in a sandbox of it. Immutable."""

    def __init__(self, module: Module, template: Template, options: Mapping[str, Any]) -> None:
        """template: of what was captured. options: what `spawn` gives to sandboxes unless told otherwise."""
        self.module = module
        self.template = template
        self._options = dict(options)

    @property
    def options(self) -> dict[str, Any]:
        """What `spawn` gives to sandboxes unless told otherwise."""
        return dict(self._options)

    @property
    def size_bytes(self) -> int:
        """Size of the pages that are in it: those that are not zero and can differ from the module's."""
        return sum(len(data) for _, data in self._pages())

    def to_bytes(self, *, key: bytes | None = None, compress: bool = False) -> bytes:
        """For another process or machine that has the same module. key: a secret of at least 16 bytes, with
        which only holders of the key can make bytes that `from_bytes` takes. compress: with zlib."""
        layout = self.template.contents.layout
        file = SnapshotFile(
            identity(self.module.digest),
            self.module.address,
            layout.memory_bytes,
            layout.stack_bytes,
            self._pages(),
            self.template.contents.threads,
            self.template.contents.callbacks,
        )
        return file.to_bytes(key=key, compress=compress)

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview,
        module: Module,
        *,
        key: bytes | None = None,
        memory: Size | None = None,
        stack: Size | None = None,
    ) -> Self:
        """A snapshot of a sandbox of `module`. key: the one that `to_bytes` got; without one, anyone can have
        made the bytes, which then are as untrusted as sandboxed code. memory, stack: refuse sandboxes with
        higher limits; default: those of `Sandbox`, or none with a key.

        Raises SnapshotError for bytes that are damaged, of another module, or not sealed with the key;
        LimitError if another module is at the code addresses that the snapshot has.
        """
        if memory is None:
            memory = DEFAULT_MEMORY if key is None else LARGEST_MEMORY
        if stack is None:
            stack = DEFAULT_STACK if key is None else LARGEST_STACK
        file = SnapshotFile.from_bytes(
            data,
            key=key,
            largest_memory_bytes=parse_size(memory, "memory"),
            largest_stack_bytes=parse_size(stack, "stack"),
        )
        if file.identity != identity(module.digest):
            raise SnapshotError("the snapshot is of another module, or made by another version of tmebox")
        if key is None and module.file.isolation != "code+data":
            raise SnapshotError(
                f"the module has isolation {module.file.isolation!r}: it trusts code addresses in memory, so "
                "its snapshots have to be sealed with a key"
            )
        try:
            layout = lay_out(module, file.memory_bytes, file.stack_bytes)
        except LimitError as error:
            raise SnapshotError(f"the snapshot has impossible limits: {error}") from None
        _require_writable(file.pages, layout)
        try:
            there = module.at(file.address)
        except LimitError as error:
            raise LimitError(f"{error}; load the snapshot before other modules") from error
        if file.threads and not module.has_control:
            raise SnapshotError("the snapshot has threads that a module of this kind cannot leave")
        for thread in file.threads:
            if thread is not None and not _native.is_stack(*thread):
                raise SnapshotError("the snapshot has a thread that stands where none can")
        later = later_contents(there, layout, file.pages)
        contents = replace(later, threads=file.threads, callbacks=file.callbacks)
        return cls(there, WINDOWS.template(contents), {})

    def _pages(self) -> Pages:
        contents = self.template.contents
        read_only = {start for start, _ in contents.layout.read_only}
        return tuple((offset, data) for offset, data in contents.data if offset not in read_only)

    def _facts(self) -> Iterable[Fact]:
        yield "pages", f"{self.size_bytes:,} bytes"
        yield "memory", f"at most {self.template.contents.layout.memory_bytes:,} bytes"
        yield "options", ", ".join(name for name, value in self._options.items() if value) or None
        yield "module", self.module

    def __repr__(self) -> str:
        return f"<tmebox.Snapshot {self.size_bytes:,} bytes of pages, {self.module!r}>"


def _require_writable(pages: Pages, layout: Layout) -> None:
    """Nothing but the sandbox's own writable data and heap: no control page, no stack, nothing read-only."""
    for offset, data in pages:
        end = offset + len(data)
        parts = (abi.IMAGE_START, layout.heap_end), (layout.upper_start, layout.upper_end)
        inside = any(start <= offset <= end <= stop for start, stop in parts)
        if not inside or any(offset < stop and start < end for start, stop in layout.read_only):
            raise SnapshotError(f"the snapshot has pages that are not the module's to write: {offset:#x}")
