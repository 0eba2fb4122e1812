"""Types of what callers give, so that a type checker finds mistakes before anything runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

from tmebox.listing import Text
from tmebox.runtime.system import Directory
from tmebox.runtime.system.network import EndpointLike, ListenLike

if TYPE_CHECKING:
    from tmebox.runtime.shared_heap import SharedHeap

Optimization = Literal["-O0", "-O1", "-O2", "-O3", "-Os", "-Oz", "-Og", "-Ofast"]
Language = Literal["c", "c++"]

Size = int | str
"""Bytes, or a text like "64MiB"."""


class Readable(Protocol):
    """A binary file, or a text file over one, such as sys.stdin."""

    def read(self, size: int, /) -> Any: ...


class Writable(Protocol):
    """A binary or text file."""

    def write(self, data: Any, /) -> Any: ...


Input = bytes | bytearray | memoryview | int | Readable | Callable[[int], bytes | None] | None
"""Bytes, a descriptor number, a binary file, a function that returns at most so many bytes; None: empty."""
Output = int | Writable | Callable[[bytes], object] | None
"""A descriptor number, a file, or a function that gets each piece."""

Mode = Literal["ro", "rw"] | bool
DirectoryLike = Directory | str | tuple[Text, Text] | tuple[Text, Text, Mode]
"""What a sandbox may reach: "HOST:GUEST", "HOST:GUEST:ro", (HOST, GUEST), (HOST, GUEST, "ro")."""
Imports = Mapping[str, Callable[..., Any]] | Sequence[Callable[..., Any]] | None

SourcePath = str | os.PathLike[str]


class SpawnOptions(TypedDict, total=False):
    """Options of a sandbox that starts from a snapshot; described at `Sandbox`."""

    timeout: float | None
    imports: Imports
    dirs: Sequence[DirectoryLike]
    env: Mapping[str, str] | None
    stdin: Input
    stdout: Output
    stderr: Output
    files: int | None
    listen: Sequence[ListenLike]
    connect: Sequence[EndpointLike]
    heap: SharedHeap | None
    heap_limit: Size | None


class SandboxOptions(SpawnOptions, total=False):
    """Options of `Sandbox`, by name."""

    memory: Size
    stack: Size
