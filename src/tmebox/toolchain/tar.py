"""Regular files out of a tar archive that is read from its beginning to its end.

A reader of our own: the standard library's takes whatever memory, and quadratic time, for names and extended
headers of any size. It reads what tar, git and bsdtar write: POSIX's and GNU's headers, long names, and of
extended headers a file's path and size. Sparse files are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_BLOCK = 512
MOST_HEADERS = 400_000
"""A file has up to three, a directory has one."""
_LONGEST = 1 << 16
"""Of an extended header, and of a long name."""
_REGULAR = (b"0", b"\0", b"7")
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")
"""Links, devices, directories and pipes."""
_EXTENDED, _LONG_NAME, _SPARSE = b"x", b"L", b"S"


class Contents:
    """One file's. `read` is like a file's, and may give less than what was asked for."""

    def __init__(self, read: Callable[[int], bytes], size: int) -> None:
        self._read = read
        self._left = size
        self._padding = -size % _BLOCK

    def read(self, size: int) -> bytes:
        """Raises EOFError where the archive ends too early."""
        data = self._read(min(size, self._left)) if self._left else b""
        if self._left and size and not data:
            raise EOFError("it ends too early")
        self._left -= len(data)
        return data

    def skip(self) -> None:
        self._left += self._padding
        self._padding = 0
        while self._left:
            self.read(self._left)


def files(read: Callable[[int], bytes]) -> Iterator[tuple[str, Contents]]:
    """Name and contents of each regular file, to be read before the next is asked for. `read` is a file's.
    Raises ValueError and EOFError."""
    name, size = b"", -1
    for count, header in enumerate(iter(lambda: _header(read), b"")):
        if count >= MOST_HEADERS:
            raise ValueError(f"it has more than {MOST_HEADERS:,} headers")
        kind = header[156:157]
        own = _number(header[124:136])
        contents = Contents(read, 0 if kind in _WITHOUT_DATA else own)
        if kind == _LONG_NAME:
            name = _text(contents, own).split(b"\0")[0]
        elif kind == _EXTENDED:
            found = dict(_records(_text(contents, own)))
            name, size = found.get(b"path", name), int(found.get(b"size", b"-1")[:20])
        elif kind == _SPARSE:
            raise ValueError("a sparse file")
        elif kind in (b"g", b"K"):  # what follows them is still described by what came before
            pass
        else:
            if kind not in _WITHOUT_DATA and size >= 0:
                contents = Contents(read, size)
            name = name or _name(header)
            if kind in _REGULAR and not name.endswith(b"/"):
                yield name.decode("utf-8", "surrogateescape"), contents
            name, size = b"", -1
        contents.skip()


def _header(read: Callable[[int], bytes]) -> bytes:
    """The next one; empty at the archive's end."""
    block = read(_BLOCK)
    while block and len(block) < _BLOCK:
        more = read(_BLOCK - len(block))
        if not more:
            raise EOFError("it ends too early")
        block += more
    if not block.strip(b"\0"):
        return b""
    plain = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    signed = plain - 256 * sum(byte >= 0x80 for byte in block[:148] + block[156:])
    if _number(block[148:156]) not in (plain, signed):
        raise ValueError("a header's checksum is wrong")
    return block


def _number(field: bytes) -> int:
    """Octal digits, or bytes with the highest bit before them."""
    if field[0] & 0x80:
        if field[0] != 0x80:
            raise ValueError("a negative number")
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip()
    if digits.strip(b"01234567"):
        raise ValueError("a number that is none")
    return int(digits or b"0", 8)


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].split(b"\0")[0], header[345:500].split(b"\0")[0]
    return prefix + b"/" + name if header[257:263] == b"ustar\0" and prefix else name


def _text(contents: Contents, size: int) -> bytes:
    if size > _LONGEST:
        raise ValueError(f"a header of {size} bytes")
    pieces = []
    while piece := contents.read(_LONGEST):
        pieces.append(piece)
    return b"".join(pieces)


def _records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of each record of an extended header: `12 path=a.c` and a newline, 12 bytes in all."""
    position = 0
    while position < len(data) and data[position]:
        digits = data[position : position + 8].split(b" ")[0]
        end = position + (int(digits) if digits.isdigit() else 0)
        key, equals, value = data[position + len(digits) + 1 : end].partition(b"=")
        if not equals or end > len(data) or value[-1:] != b"\n":
            raise ValueError("an extended header that makes no sense")
        if key.startswith(b"GNU.sparse"):
            raise ValueError("a sparse file")
        yield key, value[:-1]
        position = end
