"""What people call a C++ function that has a mangled name."""

from __future__ import annotations

from functools import lru_cache

from tmebox.demangle.tables import LONGEST_NAME


@lru_cache(maxsize=4096)
def demangled(name: str) -> str:
    """`ns::plus(int, int)` for `_ZN2ns4plusEii`; `name` itself if it is none, or not understood."""
    return _read(name, is_whole=True)


@lru_cache(maxsize=4096)
def called(name: str) -> str:
    """Likewise, without result and parameters: `ns::plus`."""
    return _read(name, is_whole=False)


def _read(name: str, *, is_whole: bool) -> str:
    if not name.startswith("_Z") or len(name) > LONGEST_NAME:
        return name
    from tmebox.demangle.reader import Reader, Unknown

    reader = Reader(name.partition(".")[0][2:])
    if not is_whole:
        return _shorter(reader.name_alone(name))
    try:
        result = reader.encoding()
        reader.require_end()
    except (Unknown, IndexError, RecursionError):
        return name
    return _shorter(result)


def _shorter(text: str) -> str:
    for long, short in _SHORTER:
        text = text.replace(long, short)
    return text


_SHORTER = (
    ("std::__1::", "std::"),
    ("std::basic_string<char, std::char_traits<char>, std::allocator<char>>", "std::string"),
)
"""libc++'s names for what everybody calls otherwise."""
