"""Image: what sandboxes start as."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from tmebox import abi
from tmebox.memory.contents import Contents
from tmebox.runtime.module import Module


@dataclass(frozen=True, eq=False)
class Image:
    """A module and what its sandboxes' windows hold at first. Immutable, shared by all of them.

    `memory_bytes` is the limit on data and heap, and that on host arrays.
    """

    module: Module
    contents: Contents
    memory_bytes: int

    @cached_property
    def stack_bytes(self) -> int:
        return abi.STACK_TOP - self.contents.layout.stack_low


class HasImage(Protocol):
    """What a sandbox can be made of besides a module: a snapshot."""

    @property
    def image(self) -> Image: ...
