"""What sandboxes start as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tmebox import abi
from tmebox.memory.contents import Contents
from tmebox.memory.templates import Template
from tmebox.memory.windows import WINDOWS
from tmebox.once import once
from tmebox.runtime.module import Module


class Start:
    """First contents and limits, made ready once for all sandboxes that have them. Immutable.

    `memory_bytes` is the limit on data and heap, and that on host arrays.
    """

    def __init__(self, contents: Contents, memory_bytes: int) -> None:
        self.contents = contents
        self.memory_bytes = memory_bytes

    @once
    def template(self) -> Template:
        return WINDOWS.template(self.contents)


@dataclass(frozen=True, eq=False)
class Image:
    """A module and what a sandbox of it held at some moment. Immutable."""

    module: Module
    contents: Contents
    memory_bytes: int

    @once
    def start(self) -> Start:
        return Start(self.contents, self.memory_bytes)

    @property
    def stack_bytes(self) -> int:
        return abi.STACK_TOP - self.contents.layout.stack_low


class HasImage(Protocol):
    """What a sandbox can be made of besides a module: a snapshot."""

    @property
    def image(self) -> Image: ...
