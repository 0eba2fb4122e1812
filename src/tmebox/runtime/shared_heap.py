"""SharedHeap: memory that sandboxes and the host alias, owned line by line, moved without copying."""

from __future__ import annotations

import gc
import math
import operator
import os
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeVar, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from tmebox import _native, abi
from tmebox.errors import LimitError
from tmebox.memory.backends.contract import Backend
from tmebox.memory.backends.mmu import Mmu
from tmebox.memory.backends.model import Model
from tmebox.memory.backends.tmemk import Tmemk
from tmebox.memory.shortage import limit_met
from tmebox.memory.templates import Template
from tmebox.memory.windows import WINDOWS
from tmebox.runtime import core as _core  # noqa: F401 told which errors it raises, before any heap is made
from tmebox.runtime import side
from tmebox.runtime.heap_picture import MOST_ROWS, HeapPicture, rows_of
from tmebox.runtime.host_pointers import require_none
from tmebox.runtime.layout import parse_size
from tmebox.runtime.option_types import Size
from tmebox.runtime.shapes import sizes
from tmebox.shown import Fact, Shown

if TYPE_CHECKING:
    from typing_extensions import Self

    from tmebox.runtime.sandbox import Sandbox
    from tmebox.tme import Machine, MachineCheck

_Item = TypeVar("_Item", bound=np.generic)
_Shape = SupportsIndex | Sequence[SupportsIndex]
Placement = Literal["pages", "dense"]
PLACEMENTS = ("pages", "dense")
BackendName = Literal["mmu", "model", "tmemk"]
BACKENDS: dict[str, type[Backend]] = {"mmu": Mmu, "model": Model, "tmemk": Tmemk}
Rights = Literal["r", "rw"]
WATCHERS: list[Callable[[SharedHeap], None]] = []
"""Called with each heap that is about to be closed: `tmebox memory show` looks at it once more."""
_HEAPS: weakref.WeakValueDictionary[int, SharedHeap] = weakref.WeakValueDictionary()
LARGEST = abi.SHARED_END - abi.SHARED_START


def all_heaps() -> list[SharedHeap]:
    """All there are. They may come and go meanwhile, on other threads too."""
    return [heap for reference in _HEAPS.valuerefs() if (heap := reference()) is not None]


class Block(_native.Block):
    """Memory of a shared heap, from `SharedHeap.allocate` or `adopt`. It is accepted where C takes a pointer,
    and so is its `offset`. The last reference to it ends it, unless it was released."""

    __slots__ = ()

    @property
    def owner(self) -> Any:
        """The sandbox that owns it, None for the host, or who shares it, with their rights."""
        heap: Any = self.heap
        return heap._owner(self.key_id)

    def write(self, data: Any, start: int = 0) -> None:
        """Copy a buffer to `start`. Raises BadPointer, TypeError, SandboxBusy."""
        require_none(data, "what is written")
        super().write(data, start)

    def __repr__(self) -> str:
        if self.state != "live":
            return f"<tmebox.Block {self.size:,} bytes, {self.state}>"
        return f"<tmebox.Block {self.size:,} bytes at {self.offset:#x}, key {self.key_id}>"


@dataclass(frozen=True)
class HeapStats:
    """Bytes of a shared heap: all, of blocks, in pages that are free, in pages that are in memory.
    `mixed_pages` have several owners: accesses to them are done on the side. `keys` are in use; `transfers`
    were made so far."""

    size_bytes: int
    block_bytes: int
    free_bytes: int
    resident_bytes: int
    mixed_pages: int
    keys: int
    transfers: int


class SharedHeap(Shown, _native.Heap):
    """One heap for many sandboxes, `Sandbox(module, heap=…)`. Every 64-byte line has one owner: a sandbox,
    the host, or those who share it. A sandbox that touches another's line stops with an IntegrityViolation.

    placement: "pages", where each owner packs its own pages, which are as fast as private memory; or "dense",
    where small blocks of all owners share pages, which takes less memory, and where each access takes
    microseconds.

    backend: "mmu", page tables; or "model": blocks live as cipher text and MACs in the DRAM of `machine`, a
    tme.Machine. A page is decrypted when its owner first touches it, if all its lines verify under the
    owner's key, and encrypted again when it changes hands, or by `flush`. machine: its options, such as
    {"algorithm": "aes-xts-256-integrity", "key_id_bits": 6, "detection": "paper"}; see tme.Machine.
    """

    def __new__(
        cls,
        size: Size,
        *,
        placement: Placement = "pages",
        views: bool = True,
        backend: BackendName = "mmu",
        machine: Mapping[str, Any] | None = None,
    ) -> Self:
        """size: at most about 2 GiB; memory is taken as it is used. views: False has every access of
        sandboxes done on the side, as where the system lets nothing else be done. backend: "mmu" enforces by
        page tables, "model" also by a machine whose memory is encrypted, "tmemk" by the CPU's, through the
        driver. machine: options of that machine. Raises LimitError, OSError where there is no such backend,
        and tme.ConfigurationError, with its rule, for a machine that no heap can live in."""
        size_bytes = parse_size(size, "size")
        if not 0 < size_bytes <= LARGEST:
            raise ValueError(f"size={size!r}: a shared heap has from 1 to {LARGEST:,} bytes")
        if placement not in PLACEMENTS:
            raise ValueError(f"placement={placement!r}: write 'pages' or 'dense'")
        if backend not in BACKENDS:
            raise ValueError(f"backend={backend!r}: write {' or '.join(map(repr, BACKENDS))}")
        side.install()
        _native.ensure_handlers()  # also copies by the host may find no page
        pages = -(-size_bytes // abi.PAGE_SIZE)
        shows = views and BACKENDS[backend]().views()
        if machine is not None and backend != "model":
            raise ValueError(f"machine= is for backend='model', not for {backend!r}")
        encrypting = _encrypting_machine(pages * abi.PAGE_SIZE, machine) if backend == "model" else None
        device = Tmemk().device() if backend == "tmemk" else -1
        try:
            made = super().__new__(
                cls, pages * abi.PAGE_SIZE, placement == "dense", shows, Block, device, encrypting
            )
        except OSError as error:
            met = limit_met(error, 2 * size_bytes)
            raise LimitError(
                f"no room for a shared heap of {size_bytes:,} bytes; the limit is {met}"
            ) from error
        finally:
            if device >= 0:
                os.close(device)
        made._machine = encrypting
        return made

    def __init__(
        self,
        size: Size,
        *,
        placement: Placement = "pages",
        views: bool = True,
        backend: BackendName = "mmu",
        machine: Mapping[str, Any] | None = None,
    ) -> None:
        self.placement: Placement = placement
        _HEAPS[id(self)] = self
        self.sandboxes: dict[int, weakref.ref[Sandbox]] = {}  # by key; whose key was taken is gone
        self._last: tuple[weakref.ref[Template], Template] | None = None
        self._templates: weakref.WeakKeyDictionary[Template, Template] = weakref.WeakKeyDictionary()

    # -- making and ending blocks ------------------------------------------------------------------
    def allocate(
        self,
        size: Size,
        owner: Sandbox | None = None,
        *,
        placement: Placement | None = None,
        shareable: bool = False,
        movable: bool = False,
    ) -> Block:
        """A zeroed block. owner: None for the host. placement: instead of the heap's. shareable: whole pages,
        which `share` needs. movable: `compact` and `relocate` may move it while nobody has pinned it;
        `offset` then is where it is now. Where there is no room, Python's garbage is collected first, unless
        the collector is off. Raises LimitError."""
        flags = 0
        if placement is not None and placement not in PLACEMENTS:
            raise ValueError(f"placement={placement!r}: write 'pages' or 'dense'")
        if movable or (placement or self.placement) == "dense":
            flags = _native.BLOCK_DENSE
        if shareable:
            flags |= _native.BLOCK_SHAREABLE
        if movable:
            flags |= _native.BLOCK_MOVABLE
        size_bytes = size if type(size) is int else parse_size(size, "size")
        if size_bytes < 0:
            raise ValueError(f"size={size!r}: not negative")
        instance = None if owner is None else _instance(owner)
        try:
            return self._allocated(size_bytes, instance, flags)
        except LimitError:
            if not gc.isenabled():
                raise
        gc.collect()  # arrays in reference cycles end with it
        return self._allocated(size_bytes, instance, flags)

    def _allocated(self, size_bytes: int, instance: _native.Instance | None, flags: int) -> Block:
        block: Block = self.allocate_block(size_bytes, instance, flags)
        return block

    @overload
    def array(self, shape: _Shape, *, owner: Sandbox | None = None) -> NDArray[np.uint8]: ...
    @overload
    def array(
        self, shape: _Shape, dtype: type[_Item] | np.dtype[_Item], *, owner: Sandbox | None = None
    ) -> NDArray[_Item]: ...
    @overload
    def array(self, shape: _Shape, dtype: DTypeLike, *, owner: Sandbox | None = None) -> NDArray[Any]: ...
    def array(
        self, shape: _Shape, dtype: DTypeLike = np.uint8, *, owner: Sandbox | None = None
    ) -> NDArray[Any]:
        """A zeroed NumPy array in whole pages of the heap: passing it to a sandbox of the heap copies
        nothing. It shows the bytes whoever owns them, and never moves. The last view of it ends it. While an
        owner runs on another thread, use a copy of it for indexes, masks, counts and sorting, as with
        `Sandbox.array`. Raises LimitError."""
        item = np.dtype(dtype)
        if item.hasobject:
            raise TypeError(f"arrays of {item} cannot live in a shared heap: they hold Python objects")
        shape_sizes = sizes(shape)
        if any(size < 0 for size in shape_sizes):
            raise ValueError(f"shape {shape} has a negative size")
        size_bytes = math.prod(shape_sizes) * item.itemsize
        block = self.allocate(max(size_bytes, 1), owner, placement="pages", shareable=True)
        shown = np.frombuffer(memoryview(block), np.uint8)
        return shown[:size_bytes].view(item).reshape(shape_sizes)

    def free(self, block: Block | NDArray[Any]) -> None:
        """End a block or array now. Nobody can touch it any more; what still shows it shows its bytes, and as
        long as it does its memory is not used again."""
        self.free_block(block)

    def relocate(self, block: Block, placement: Placement = "dense") -> None:
        """Move a block made with movable=True, to a page of its owner's own ("pages"), or to one for any
        owner. Its offset changes, its bytes and its owner do not. Raises ValueError if it may not be moved
        now."""
        if placement not in PLACEMENTS:
            raise ValueError(f"placement={placement!r}: write 'pages' or 'dense'")
        self.relocate_block(block, placement == "dense")

    def compact(self) -> tuple[int, int]:
        """Move blocks that may be moved together, and give free pages back to the system where there are many
        in a row: (how many pages, how many bytes were moved)."""
        return self.compact_heap()

    # -- a machine's memory -------------------------------------------------------------------------
    _machine: Machine | None

    @property
    def machine(self) -> Machine:
        """The machine whose DRAM has the blocks of a heap with backend="model": the heap's page n is at its
        physical address 4096 * n, and KeyIDs are keys. Attack `machine.dram`. Raises ValueError for another
        backend."""
        if self._machine is None:
            raise ValueError(f"this shared heap has no machine: its backend is {self.backend}, not model")
        return self._machine

    def flush(self) -> None:
        """Encrypt in the machine's DRAM what sandboxes and the host have before them, as a processor writes
        its caches back. Who touches it next gets what DRAM then has. What arrays show stays before the host;
        sandboxes touch it only if what DRAM has still verifies. Without a machine: nothing."""
        self.flush_heap()

    def log_check(self, outcome: int, offset: int, key_id: int) -> MachineCheck | None:
        """Have the machine log what its memory said of a sandbox's read at an offset."""
        if self._machine is None:
            return None
        return self._machine.log_check(outcome, offset - abi.SHARED_START, key_id)

    # -- who owns what -----------------------------------------------------------------------------
    def transfer(self, block: Block | NDArray[Any], to: Sandbox) -> None:
        """Make `to` the only owner. The bytes stay. When this returns, no instruction of the former owner
        reads or writes them. Raises LimitError at the new owner's heap_limit."""
        self.transfer_block(block, _instance(to))

    def revoke(self, block: Block | NDArray[Any]) -> None:
        """Make the host the only owner."""
        self.transfer_block(block, None)

    def share(self, block: Block | NDArray[Any], rights: Mapping[Sandbox, Rights]) -> None:
        """Let several sandboxes use an array, or a block made with shareable=True: each reads it ("r"), or
        reads and writes it ("rw")."""
        rows = []
        for sandbox, right in rights.items():
            if right not in ("r", "rw"):
                raise ValueError(f"{right!r} is no right: write 'r' or 'rw'")
            rows.append((_instance(sandbox), right == "rw"))
        if not rows:
            raise ValueError("nobody to share with: revoke() gives a block to the host")
        self.share_block(block, tuple(rows))

    def adopt(self, sandbox: Sandbox, offset: int) -> Block:
        """A Block for what the sandbox's code allocated at `offset` and owns: from now on the host ends it,
        and the sandbox's code no longer can."""
        block: Block = self.adopt_block(_instance(sandbox), operator.index(offset))
        return block

    def allow(self, sandbox: Sandbox, to: Sandbox) -> None:
        """Let the code of `sandbox` transfer what it made to the other one, as long as both live."""
        self.allow_transfers(_instance(sandbox), _instance(to))

    def owner_of(self, block: Block | NDArray[Any] | int) -> Any:
        """Who owns a block, array, or the line at an offset: a sandbox, None for the host, or a mapping of
        those who share it to their rights."""
        if isinstance(block, Block):
            return block.owner
        if isinstance(block, np.ndarray):
            return self._owner(self.owner_at(self.offset_of(block)))
        return self._owner(self.owner_at(operator.index(block)))

    def _owner(self, key: int) -> Any:
        if key == 0:
            return None
        members = self.members_of(key)
        if members is None:
            return self._sandbox(key)
        return {
            sandbox: "rw" if writes else "r"
            for member, writes in members
            if (sandbox := self._sandbox(member)) is not None
        }

    def _sandbox(self, key: int) -> Sandbox | None:
        reference = self.sandboxes.get(key)
        return None if reference is None else reference()

    # -- looking -----------------------------------------------------------------------------------
    def map(self) -> NDArray[np.uint16]:
        """The key of every line's owner, a row of 64 for each page; 0 for the host's lines and free ones."""
        owners, _ = self.owner_map()
        return np.frombuffer(owners, np.uint16).reshape(-1, abi.SHARED_PAGE_LINES)

    def show(self, title: str = "") -> HeapPicture:
        """Who owns what at this moment, to look at: print it, or look at it in a notebook. Rows are pages
        with blocks in them, of 64 lines each; a letter and a colour is an owner."""
        owners, used = self.owner_map()
        rows = list(rows_of(memoryview(owners).cast("H"), memoryview(used).cast("Q")))
        keys = sorted({key for row in rows for key in row.cells if key >= 0})
        shown = rows[:MOST_ROWS]
        with_blocks = sum(row.pages for row in rows)
        return HeapPicture(
            rows=tuple(shown),
            owners={key: self._described(key) for key in keys},
            free_pages=len(used) // 8 - with_blocks,
            hidden_pages=with_blocks - sum(row.pages for row in shown),
            title=title,
        )

    def _described(self, key: int) -> str:
        if key == 0:
            return "the host"
        members = self.members_of(key)
        if members is None:
            return f"key {key}, a sandbox"
        who = ", ".join(f"{member} ({'rw' if writes else 'r'})" for member, writes in members)
        return f"key {key}, shared by {who}"

    def stats(self) -> HeapStats:
        """Figures at this moment."""
        free, spare, mixed, dirty, lines, keys, transfers, _ = self.figures()
        return HeapStats(
            size_bytes=self.size_bytes,
            block_bytes=lines * abi.SHARED_LINE,
            free_bytes=(free + spare) * abi.PAGE_SIZE,
            resident_bytes=dirty * abi.PAGE_SIZE,
            mixed_pages=mixed,
            keys=keys,
            transfers=transfers,
        )

    # -- life --------------------------------------------------------------------------------------
    def close(self) -> None:
        """From now on nothing of it is any sandbox's. Arrays stay valid. Idempotent."""
        if WATCHERS and not self.closed:
            for watch in tuple(WATCHERS):
                watch(self)
        self.close_heap()
        self._last = None
        self._templates.clear()  # the windows that were kept for it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a shared heap is not copied or pickled")

    def template_for(self, template: Template) -> Template:
        """The same first contents, for windows that are kept for sandboxes of this heap."""
        last = self._last  # most heaps have sandboxes of one kind
        if last is not None and last[0]() is template:
            return last[1]
        found = self._templates.get(template)
        if found is None:
            found = self._templates.setdefault(template, WINDOWS.another(template))
        self._last = weakref.ref(template), found
        return found

    def _facts(self) -> Iterable[Fact]:
        yield "size", f"{self.size_bytes:,} bytes"
        yield "placement", self.placement
        yield "backend", self.backend
        if not self.closed:
            stats = self.stats()
            yield "in blocks", f"{stats.block_bytes:,} bytes"
            yield "keys in use", stats.keys

    def __repr__(self) -> str:
        state = (
            "closed"
            if self.closed
            else f"{self.stats().block_bytes:,} of {self.size_bytes:,} bytes in blocks"
        )
        return f"<tmebox.SharedHeap {state}>"


def _encrypting_machine(heap_bytes: int, options: Mapping[str, Any] | None) -> Machine:
    from tmebox.tme.heap_machine import machine_for_heap

    return machine_for_heap(heap_bytes, options)


def _instance(sandbox: Any) -> _native.Instance:
    tenancy = getattr(sandbox, "_tenancy", None)
    if tenancy is None:
        raise TypeError(f"expected a Sandbox of this heap, got {type(sandbox).__name__}")
    instance: _native.Instance = tenancy.instance
    return instance
