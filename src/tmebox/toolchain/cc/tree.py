"""The source tree that a directory lies in: what its sources may include from without being told.

Sources include `../include/x.h`. They may not include what lies beside their tree, as keys in a home.
"""

from __future__ import annotations

from pathlib import Path

from tmebox.toolchain.compile.cplusplus import SUFFIXES

REPOSITORY = (".git", ".hg", ".svn", ".bzr")
"""What the top of a tree has, and nothing beneath it."""
BUILT = (
    *("configure", "configure.ac", "CMakeLists.txt", "meson.build", "SConstruct", "wscript", "build.ninja"),
    *("Makefile", "makefile", "GNUmakefile", "Makefile.am", "Makefile.in", "config.status", "auto/configure"),
)
"""What directories have that are built; those within them may have it as well."""
SOURCES = frozenset({".c", ".s", ".S", *SUFFIXES})
_SHARED = (
    "/tmp",
    "/var/tmp",
    "/home",
    "/root",
    "/usr",
    "/usr/src",
    "/usr/local",
    "/opt",
    "/srv",
    "/var",
    "/mnt",
)
"""Directories that hold trees of many people, whatever else lies there."""


def sources_directly_in(directory: Path) -> list[Path]:
    """Files that are compiled, by their names."""
    return sorted(path for path in directory.iterdir() if path.suffix in SOURCES and path.is_file())


def source_tree(directory: Path) -> Path:
    """The top of the tree that `directory` lies in; itself, if nothing tells. Never a home directory, nor
    what one lies in."""
    start = Path(directory).absolute()
    forbidden = {Path(name) for name in _SHARED}
    try:
        home = Path.home()
        forbidden |= {home, *home.parents}
    except RuntimeError:  # nobody's
        pass
    top = start
    for candidate in (start, *start.parents):
        if candidate in forbidden or candidate == candidate.parent:
            break
        if any((candidate / name).exists() for name in REPOSITORY):
            return candidate
        if any((candidate / name).exists() for name in BUILT):
            top = candidate
    return top
