"""Which trees a library comes from, and what its files are called in the package: the same wherever they lie.

Paths of the machine that builds go into no package. So the same sources give the same bytes, and a package
does not tell whose machine made it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tmebox.toolchain.cc.tree import source_tree
from tmebox.toolchain.compile import clang


@dataclass(frozen=True)
class Trees:
    """names: of directories, absolute ones, none within another; what each is called. system: the same for
    the toolchain's."""

    names: Mapping[str, str]
    system: Mapping[str, str]

    @property
    def flags(self) -> tuple[str, ...]:
        """What makes the compiler write these names instead of paths."""
        pairs = {**self.system, **self.names}
        return tuple(f"-ffile-prefix-map={path}={name}" for path, name in pairs.items())

    def name_of(self, path: str) -> str | None:
        """Of a file; None for the toolchain's, and what lies in none of them."""
        if path.startswith(tuple(f"{directory}/" for directory in self.system)):
            return None
        for directory, name in self.names.items():
            if path.startswith(f"{directory}/"):
                return f"{name}{path[len(directory) :]}"
        return None


def trees_of(directories: Iterable[Path], name: str, copied: Path) -> Trees:
    """Of the directories that a library is compiled from, in their order: the first tree is called `name`,
    the others name-2 and so on. copied: where copies of headers lie, which count as the first tree's."""
    tops = list(dict.fromkeys(os.path.abspath(source_tree(path)) for path in directories))
    outermost = [top for top in tops if not any(top.startswith(f"{other}/") for other in tops)]
    names = {top: name if not n else f"{name}-{n + 1}" for n, top in enumerate(outermost)}
    system = {os.path.abspath(path): f"tmebox-{n}" for n, path in enumerate(clang.system_dirs())}
    return Trees({**names, os.path.abspath(copied): name}, system)


def digests(files: Sequence[str], trees: Trees) -> dict[str, str]:
    """SHA-256 of each by its name, those of the toolchain left out: its version says what they are. Raises
    OSError."""
    found = {}
    for path in map(os.path.abspath, files):
        name = trees.name_of(path)
        if name is not None:
            found[name] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return dict(sorted(found.items()))
