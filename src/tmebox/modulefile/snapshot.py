"""Snapshots as bytes. Untrusted: whatever they say, they only ever set a sandbox's own writable memory.

Little-endian. The header is 128 bytes:

    magic 8s        "TMEBOX" and the format's number
    flags u32       1: the seal is made with a key, 2: pages are compressed
    run count u32
    identity 32s    what the module and this version's layout amount to
    address u64     of the module's text: pages hold code addresses
    memory u64      the sandbox's limits in bytes
    stack u64
    pages u64       how many there are in all
    stored u64      size of the pages as they are stored
    threads u64     size of what is stored of threads
    callbacks u32   pages may hold pointers to callbacks with lower numbers than this
    reserved 28s    zero

Then the runs, (first page's offset u32, number of pages u32), ascending and apart; the pages, as they are
or as one zlib stream; for each thread beside the first, by number, (stack's begin u64, its end u64, number of
words u64) and the words of its control stack, or three zeros where there is none; and the seal, 32 bytes:
HMAC-SHA-256 under the key, or plain SHA-256, of all before it. Pages that are zero are left out.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from tmebox import abi
from tmebox.errors import SnapshotError
from tmebox.modulefile.unchanging import unchanging

MAGIC = b"TMEBOX\0\2"
KEYED, COMPRESSED = 1, 2
HEADER = struct.Struct("<8sII32sQQQQQQI28x")
RESERVED = 28
RUN = struct.Struct("<II")
THREAD = struct.Struct("<3Q")
SEAL_BYTES = 32
SHORTEST_KEY_BYTES = 16
COMPRESSION_LEVEL = 6
PAGE = abi.PAGE_SIZE
ZERO_PAGE = bytes(PAGE)

Pages = tuple[tuple[int, bytes], ...]
Threads = tuple[tuple[int, int, bytes] | None, ...]


@dataclass(frozen=True)
class SnapshotFile:
    """`pages` are ascending, disjoint (offset, whole pages) of data and heap; the rest is zero, or what the
    module says is read-only. `address` is the host address of the module's text when they were captured.
    `threads` are (stack's begin, its end, what its control stack holds), which nobody has looked at yet.
    `callbacks`: pages may hold pointers to callbacks with lower numbers."""

    identity: bytes
    address: int
    memory_bytes: int
    stack_bytes: int
    pages: Pages
    threads: Threads = ()
    callbacks: int = 0

    def to_bytes(self, *, key: bytes | None = None, compress: bool = False) -> bytes:
        """Raises ValueError for a key of less than 16 bytes."""
        runs = list(_runs(self.pages))
        data = b"".join(part for _, parts in runs for part in parts)
        stored = zlib.compress(data, COMPRESSION_LEVEL) if compress else data
        threads = b"".join(map(_thread, self.threads))
        flags = (KEYED if key is not None else 0) | (COMPRESSED if compress else 0)
        header = HEADER.pack(
            MAGIC,
            flags,
            len(runs),
            self.identity,
            self.address,
            self.memory_bytes,
            self.stack_bytes,
            len(data) // PAGE,
            len(stored),
            len(threads),
            self.callbacks,
        )
        table = b"".join(RUN.pack(offset, sum(map(len, parts)) // PAGE) for offset, parts in runs)
        sealed = b"".join((header, table, stored, threads))
        return sealed + _seal(sealed, key)

    @staticmethod
    def from_bytes(
        data: bytes | bytearray | memoryview,
        *,
        key: bytes | None = None,
        largest_memory_bytes: int = abi.SHARED_END,
        largest_stack_bytes: int = abi.SHARED_END,
    ) -> SnapshotFile:
        """Raises SnapshotError whatever is wrong with the bytes, or if they are of a sandbox with more memory
        or stack than the largest allowed; ValueError for a key of less than 16 bytes. Takes memory for twice
        the pages that there are, which fit the sandbox's, and for a copy of `data` that is not bytes.
        """
        view = memoryview(unchanging(data))
        if len(view) < HEADER.size + SEAL_BYTES or view[: len(MAGIC)] != MAGIC:
            raise SnapshotError("not a snapshot of this version of tmebox")
        _, flags, run_count, identity, address, *sizes = HEADER.unpack_from(view)
        memory_bytes, stack_bytes, page_count, stored_bytes, threads_bytes, callbacks = sizes
        _require_seal(view, bool(flags & KEYED), key)
        _require(flags & ~(KEYED | COMPRESSED) == 0 and not any(view[HEADER.size - RESERVED : HEADER.size]))
        _require(callbacks <= abi.MAX_CALLBACKS)
        _require(0 < memory_bytes <= abi.SHARED_END and 0 < stack_bytes <= abi.SHARED_END)
        _require(run_count <= page_count <= memory_bytes // PAGE + 1)
        for what, size_bytes, largest_bytes in (
            ("memory", memory_bytes, largest_memory_bytes),
            ("stack", stack_bytes, largest_stack_bytes),
        ):
            if size_bytes > largest_bytes:
                raise SnapshotError(
                    f"the snapshot is of a sandbox with {size_bytes:,} bytes of {what}; {what}= allows "
                    f"{largest_bytes:,}"
                )
        _require(abi.CODE_BASE <= address < abi.GATE_BASE and address % abi.TEXT_ALIGN == 0)
        table_end = HEADER.size + run_count * RUN.size
        pages_end = table_end + stored_bytes
        _require(len(view) == pages_end + threads_bytes + SEAL_BYTES)
        runs = list(RUN.iter_unpack(view[HEADER.size : table_end]))
        _require_runs(runs, page_count)
        stored = view[table_end:pages_end]
        pages = _inflated(stored, page_count * PAGE) if flags & COMPRESSED else stored
        _require(len(pages) == page_count * PAGE)
        threads = tuple(_threads(view[pages_end : pages_end + threads_bytes]))
        return SnapshotFile(
            identity, address, memory_bytes, stack_bytes, tuple(_cut(runs, pages)), threads, callbacks
        )


def identity(digest: str) -> bytes:
    """32 bytes that differ if anything does that the contents of a sandbox's memory depend on: the module's
    text, data, prototypes and relocations, which are in its digest, and every number of the contract between
    host and sandboxes."""
    numbers = sorted((n, v) for n, v in vars(abi).items() if n.isupper() and isinstance(v, int))
    return hashlib.sha256(f"{digest} {numbers}".encode()).digest()


def _runs(pages: Pages) -> Iterator[tuple[int, list[bytes]]]:
    """(offset, parts) of neighbouring pages, those that are zero left out."""
    start, end = 0, -1
    parts: list[bytes] = []
    for offset, data in pages:
        for place in range(0, len(data), PAGE):
            page = data[place : place + PAGE]
            if page == ZERO_PAGE:
                continue
            if offset + place != end:
                if parts:
                    yield start, parts
                start, parts = offset + place, []
            parts.append(page)
            end = offset + place + PAGE
    if parts:
        yield start, parts


def _thread(thread: tuple[int, int, bytes] | None) -> bytes:
    if thread is None:
        return THREAD.pack(0, 0, 0)
    low, top, words = thread
    return THREAD.pack(low, top, len(words) // 8) + words


def _threads(view: memoryview) -> Iterator[tuple[int, int, bytes] | None]:
    place, count = 0, 0
    while place < len(view):
        count += 1
        _require(count <= abi.MOST_FIBERS and len(view) - place >= THREAD.size)
        low, top, words = THREAD.unpack_from(view, place)
        place += THREAD.size
        _require(words <= (len(view) - place) // 8)
        yield (low, top, bytes(view[place : place + 8 * words])) if (low, top, words) != (0, 0, 0) else None
        place += 8 * words


def _seal(sealed: bytes | memoryview, key: bytes | None) -> bytes:
    if key is None:
        return hashlib.sha256(sealed).digest()
    if len(key) < SHORTEST_KEY_BYTES:
        raise ValueError(f"a key has at least {SHORTEST_KEY_BYTES} bytes: use secrets.token_bytes(32)")
    return hmac.digest(key, sealed, "sha256")


def _require_seal(view: memoryview, keyed: bool, key: bytes | None) -> None:
    """Before anything else is believed."""
    if keyed and key is None:
        raise SnapshotError("the snapshot is sealed with a key: pass key=")
    if not keyed and key is not None:
        raise SnapshotError("the snapshot is not sealed with a key, and with key= only those are taken")
    if not hmac.compare_digest(_seal(view[:-SEAL_BYTES], key), view[-SEAL_BYTES:]):
        raise SnapshotError(f"the snapshot is damaged{' or sealed with another key' if keyed else ''}")


def _require(fits: bool) -> None:
    if not fits:
        raise SnapshotError("the snapshot contradicts itself")


def _require_runs(runs: list[tuple[int, int]], page_count: int) -> None:
    """Whole pages, ascending, apart, below the window's end, and as many as announced."""
    _require(sum(count for _, count in runs) == page_count)
    before = -1
    for offset, count in runs:
        _require(offset % PAGE == 0 and count > 0 and offset > before)
        before = offset + count * PAGE
        _require(before <= abi.SHARED_END)


def _inflated(stored: memoryview, size_bytes: int) -> bytes:
    """Raises SnapshotError, without decompressing more than one byte too much."""
    stream = zlib.decompressobj()
    try:
        data = stream.decompress(stored, size_bytes + 1)
    except zlib.error as error:
        raise SnapshotError(f"the snapshot does not decompress: {error}") from None
    _require(stream.eof and not stream.unused_data)
    return data


def _cut(runs: list[tuple[int, int]], pages: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
    place = 0
    for offset, count in runs:
        yield offset, bytes(pages[place : place + count * PAGE])
        place += count * PAGE
