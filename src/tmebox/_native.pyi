"""The native core: entering, leaving, host calls, traps, interrupts, and mapping. C and assembly.

It decides nothing that Python could decide earlier: layouts, slots, signatures and policies arrive here
as numbers. All `address` parameters are host addresses.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from typing_extensions import Self

Thing = TypeVar("Thing")
Value = TypeVar("Value")

PROT_NONE: int
PROT_READ: int
PROT_WRITE: int
PROT_EXEC: int
BLOCK_DENSE: int
BLOCK_SHAREABLE: int
BLOCK_MOVABLE: int

# -- host memory. Every function raises OSError with errno on failure. --------------------------------
def reserve(address: int, size_bytes: int) -> int:
    """PROT_NONE, NORESERVE private mapping. address 0: anywhere; else exactly there and only if free
    (MAP_FIXED_NOREPLACE), raising FileExistsError if not. Returns the address."""

def map_zero(address: int, size_bytes: int, protection: int) -> None:
    """Replace what is mapped at `address` (inside one of our reservations) by zeroed private memory."""

def protect(address: int, size_bytes: int, protection: int) -> None: ...
def discard(address: int, size_bytes: int) -> None:
    """MADV_DONTNEED: contents become zero, memory goes back to the system."""

def unmap(address: int, size_bytes: int) -> None: ...
def read(address: int, size_bytes: int) -> bytes:
    """Plain copy; the caller guarantees that the range is mapped readable."""

def write(address: int, data: Any) -> None:
    """Plain copy from a contiguous buffer; the caller guarantees that the range is mapped writable."""

def buffer_address(obj: Any) -> tuple[int, int, bool]:
    """(address, size in bytes, read-only) of a C-contiguous buffer-protocol object; BufferError otherwise."""

# -- side execution: see runtime/side.py --------------------------------------------------------------
def set_side_maker(make: Callable[[bytes], tuple[Any, ...]]) -> None:
    """`make(bytes)` is asked for the form of the instruction that they begin with, on the thread that needs
    it. What it raises ends the call."""

def side_publish(form: tuple[Any, ...]) -> None:
    """Make a form known before it is needed. Raises TypeError, ValueError, OSError."""

def side_counts() -> tuple[int, int, int]:
    """Forms that are kept, were published, and were evicted."""

# -- windows, by their base address. OSError when there is no memory. ---------------------------------
def userfault_open() -> None:
    """Make the userfaultfd ready. Idempotent."""

def reserve_windows(count: int, userfault: bool) -> int:
    """Address space for windows, with guards around it; returns the base of the first. With `userfault`,
    pages are installed by `window_start` and touches; else nothing is accessible until it is mapped."""

class Template:
    """What windows of one kind hold at first. `data` are whole pages from IMAGE_START on, `present` has a bit
    for each of them that is not zero; `read_only` are ascending (start, end) of whole pages in the image. The
    buffers must not change. `shared`: `data` is a shared mapping that nobody can write, and windows may have
    its pages themselves where they are read-only. Raises ValueError for an impossible layout."""

    def __new__(
        cls,
        stack_low: int,
        heap_start: int,
        heap_end: int,
        read_only: Sequence[tuple[int, int]],
        data: Any,
        present: Any,
        shared: bool = False,
        stack_top: int = ...,
        upper_start: int = 0,
        upper_end: int = 0,
        stack_limit: int = 0,
    ) -> Template: ...

def window_start(base: int, template: Template) -> None:
    """First contents for a new owner, and new random bytes."""

def window_recycle(base: int, keep: int) -> int:
    """The owner is gone: first contents again, and the arena empty. The number of pages that stay present;
    0: the window is empty, because it had more than `keep`."""

def window_empty(base: int) -> None:
    """No page is present, none may be touched, and it has no template any more."""

def window_grow_arena(base: int, end: int) -> None: ...
def window_populate(base: int, offset: int, size_bytes: int, writable: bool) -> None:
    """Make present what of the window may be touched; OSError if something may not."""

def window_blank(base: int, template: Template) -> None:
    """All contents are replaced by those of the (empty) template; the arena stays, zeroed."""

def heap_views() -> int:
    """Views of shared heaps that are mapped, in use or parked."""

def window_allow_mappings(most: int, /) -> None:
    """How many mappings windows may have where a view of a shared heap is made."""

def window_pages(base: int) -> int:
    """How many pages are present."""

def resident_pages() -> tuple[int, int]:
    """(windows that may have pages, how many they have) on the userfault substrate."""

def window_arena_end(base: int) -> int:
    """Offset behind the memory for host arrays."""

def window_map_arena(base: int, end: int) -> None: ...
def window_set_upper(base: int, start: int, end: int, has_stack: bool) -> None:
    """Of a window whose parts are mapped one by one: where its heap's second part is; 0, 0: nowhere. Raises
    ValueError."""

def window_unmap_arena(base: int) -> None:
    """The arena of windows whose parts are mapped one by one."""

class Pin:
    """Python looks at these pages of a window, and may hand them to the kernel, which finds only what is
    there: once present, they stay so as long as this object lives."""

    def __new__(cls, base: int, offset: int, size_bytes: int) -> Pin: ...

# -- what is handed out and comes back. Each method is one step that nothing interrupts. ---------------
class Shelf(Generic[Thing]):
    """Things that nobody has. What lies here at the end goes to the `heir`; the shelf `sum` weighs as much
    more as this one does."""

    def __new__(cls, heir: Shelf[Thing] = ..., sum: Shelf[Thing] = ...) -> Shelf[Thing]: ...
    def __len__(self) -> int: ...
    @property
    def weight(self) -> int: ...
    @property
    def owed(self) -> int:
        """Claims that come back here if they are dropped, and things on shelves that this is the heir of."""

    def put(self, thing: Thing) -> None: ...
    def peek(self) -> Thing | None:
        """The oldest; it stays."""

    def take(self, back: Shelf[Thing] = ..., oldest: bool = False) -> Claim[Thing] | None:
        """The newest thing, or the oldest. Dropped, it goes to `back`, by default to this shelf."""

    def remove(self, thing: Thing) -> bool:
        """Whether it was there."""

    def claim(self, thing: Thing) -> Claim[Thing]:
        """Of a thing that lies nowhere."""

    def clear(self) -> None: ...

class Claim(Generic[Thing]):
    """Somebody has a thing. When this object goes, the thing goes back. ValueError once it is settled."""

    @property
    def thing(self) -> Thing: ...
    def give(self, shelf: Shelf[Thing], weight: int = 0, /) -> None: ...
    def settle(self) -> None:
        """The thing goes nowhere."""

class Extent:
    """[start, end) is somebody's as long as this object lives."""

    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def size(self) -> int: ...

class Extents:
    """Who has which part of [start, end)."""

    def __new__(cls, start: int, end: int) -> Extents: ...
    @property
    def free(self) -> int: ...
    @property
    def out(self) -> int:
        """How many parts somebody has."""

    def take(self, size: int, from_the_top: bool = False) -> Extent | None:
        """Part of the first hole that is large enough."""

    def take_at(self, start: int, size: int, /) -> Extent | None: ...
    provided: int
    """Up to here there is memory, as whoever has the Extents knows."""

    def clean(self, base: int, /) -> None:
        """The range is offsets of a window: zeros where nobody has anything any more. OSError."""

def set_first(object: object, name: str, value: Value, /) -> Value:
    """Set an attribute that is None; what it is then. It is a slot or a plain attribute."""

class Region:
    """Exports [address, address + size_bytes) through the buffer protocol as unsigned bytes. Holds a
    reference to `owner`; `exports` counts the buffers that are out."""

    def __init__(self, address: int, size_bytes: int, owner: object, writable: bool) -> None: ...
    @property
    def exports(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

# -- process-wide set-up ------------------------------------------------------------------------------
def install_gates() -> None:
    """Write the gate page at GATE_BASE and its byte of the target map (the region is reserved already,
    PROT_NONE). Idempotent; after it the gate page is read+execute, its map page read-only."""

def set_vector_policy(avx: bool, avx512: bool) -> None:
    """Which vector registers verified code can touch; those are cleared at enter and leave."""

def set_processor(bits: int, /) -> None:
    """What new windows say of the processor: CONTROL_PROCESSOR."""

def processor() -> int:
    """What was set by set_processor(); 0 before."""

def expect_x87() -> None:
    """A text that changes x87 state is about to be loaded: from now on, what sandboxes leave there is looked
    at when they are left. For ever."""

def is_stack(low: int, top: int, words: bytes) -> bool:
    """Whether `Instance.begin_threads` takes that for what a thread's stack [low, top) holds."""

def ensure_handlers() -> None:
    """Install handlers unless those that matter most are ours: a quick look for every new sandbox."""

def write_quietly(descriptor: int, data: Any, /) -> int:
    """`os.write`, which raises no SIGPIPE, whatever the host does about that. A signal may interrupt it."""

def needed_signals() -> list[int]:
    """Numbers of the signals that end or interrupt sandboxed code; the last only once handlers are there."""

def install_handlers() -> None:
    """Install SIGSEGV/SIGBUS/SIGILL/SIGFPE/SIGTRAP and interrupt handlers, remembering those before; a
    second call re-installs only what someone else has replaced (and chains to it)."""

def remove_handlers() -> None:
    """Put back what was there, where ours is still the installed one."""

def handlers_installed() -> bool: ...
def calls_in_progress() -> int:
    """Sandbox calls now running on any thread, nested ones included. Exact while the GIL is held."""

def restless() -> list[tuple[int, int, int]]:
    """Threads that are in the middle of sandboxed code, each with two numbers that are others once it has
    left it, be it for a host call."""

def set_slice(slice_ns: int) -> int:
    """How long a thread of a sandbox runs before it is interrupted for others, 1,000 at least. Returns what
    that was before: for tests, which want it short."""

def trap_count() -> int:
    """Traps since the process began."""

def remaining_time() -> float | None:
    """Seconds that the call this thread is in may still take; None outside of calls and without a limit."""

def landlock_version() -> int:
    """Of the kernel's Landlock; 0 if it has none."""

def landlock_ruleset(attributes: bytes) -> int:
    """A descriptor. attributes: a struct landlock_ruleset_attr. Raises OSError."""

def landlock_allow(ruleset: int, descriptor: int, access: int) -> None:
    """Of what is at or beneath a place. Raises OSError."""

def call_confined(function: Callable[[], Any], ruleset: int, filter: bytes) -> Any:
    """Call it on a new thread that is confined, as is all it starts, by a ruleset (-1: none) and seccomp.
    filter: structs sock_filter; none: without. Raises OSError, and what the function raises."""

def cpu_features() -> dict[str, bool]:
    """fsgsbase, avx, avx2, avx512f, … by their /proc/cpuinfo names, as usable under this kernel."""

def require_main_interpreter() -> None:
    """Raises ImportError in a subinterpreter."""

def configure(
    *,
    busy: type[BaseException],
    closed: type[BaseException],
    limit: type[BaseException],
    reference: type[BaseException],
) -> None:
    """Exception types raised from here."""

# -- instances ----------------------------------------------------------------------------------------
IDLE: int
RUNNING: int
DEAD: int

class Block:
    """Memory of a shared heap; a writable buffer where it has whole pages. Only heaps make them."""

    @property
    def size(self) -> int: ...
    @property
    def heap(self) -> Heap: ...
    @property
    def offset(self) -> int:
        """Where it is in windows. Raises ValueError once it is freed or released."""

    @property
    def key_id(self) -> int: ...
    @property
    def state(self) -> str: ...
    def hold(self) -> tuple[int, object]:
        """Its offset, where it stays as long as what comes with it is there; None: for good."""
    def read(self, start: int = 0, size: int | None = None) -> bytes:
        """A copy of some of its bytes, or of all from `start` on. Raises IndexError, ValueError."""

    def write(self, data: Any, start: int = 0) -> None:
        """Copy a C-contiguous buffer into it. Raises IndexError, ValueError."""

    def release(self) -> None:
        """Leave the ending to the sandbox that owns it. Raises ValueError if none does."""

    def __buffer__(self, flags: int, /) -> memoryview: ...

class Heap:
    """A shared heap. `instance`: of one of its sandboxes, or None for the host. Blocks are named by a Block,
    or by a buffer that starts where one with whole pages does. Raises the `closed` and `limit` exceptions,
    and ValueError for what is no block."""

    def __new__(
        cls,
        size_bytes: int,
        dense: bool,
        views: bool,
        block_type: type[Block],
        device: int = -1,
        machine: TmeEngine | None = None,
    ) -> Self:
        """device: of the driver; then the backend is "tmemk". machine: then it is "model"."""

    @property
    def backend(self) -> str: ...
    @property
    def closed(self) -> bool: ...
    @property
    def size_bytes(self) -> int: ...
    @property
    def host_address(self) -> int: ...
    def repeat(self, size: int, times: int, /) -> None: ...
    def attach(self, instance: Instance, limit_bytes: int, /) -> int:
        """From now until it is killed, it can own lines of the heap: its key. Raises closed, limit."""

    def allocate_block(self, size: int, instance: Instance | None, flags: int, /) -> Any:
        """flags: BLOCK_DENSE, BLOCK_SHAREABLE, BLOCK_MOVABLE."""

    def free_block(self, block: Any, /) -> None: ...
    def transfer_block(self, block: Any, instance: Instance | None, /) -> None: ...
    def share_block(self, block: Any, members: tuple[tuple[Instance, bool], ...], /) -> None: ...
    def adopt_block(self, instance: Instance, offset: int, /) -> Any: ...
    def allow_transfers(self, instance: Instance, to: Instance, /) -> None: ...
    def owner_at(self, offset: int, /) -> int: ...
    def offset_of(self, block: Any, /) -> int: ...
    def members_of(self, key: int, /) -> list[tuple[int, bool]] | None: ...
    def owner_map(self) -> tuple[bytes, bytes]: ...
    def figures(self) -> tuple[int, int, int, int, int, int, int, int]: ...
    def lines_of(self, instance: Instance, /) -> tuple[int, int]: ...
    def compact_heap(self, give_back: bool = True, /) -> tuple[int, int]:
        """(pages given back to the system, bytes moved)."""

    def relocate_block(self, block: Any, dense: bool, /) -> None: ...
    def flush_heap(self) -> None:
        """What views hold is encrypted in the machine's DRAM."""

    def close_heap(self) -> None: ...

class Descriptor:
    """A file descriptor of ours, closed when this goes: at once, whatever interrupts Python. counted: `held`
    includes it."""

    def __new__(cls, number: int, counted: bool = False) -> Descriptor: ...
    @property
    def number(self) -> int:
        """-1 once it is closed."""

    def close(self) -> None:
        """Idempotent."""

    @classmethod
    def held(cls) -> int:
        """How many there are that count and are not closed, those included that only the core has."""

class GuestDescriptors:
    """What the core may do with a guest's descriptors by itself: rows by number, below 1024. flags: of
    runtime/system/datapath.py. host_clock: the guest's clocks are the host's."""

    def __new__(cls, host_clock: bool = False) -> GuestDescriptors: ...
    @property
    def answered(self) -> int:
        """epoll_wait calls that found something, or did not wait."""

    @property
    def counts(self) -> dict[int, int]:
        """How often the core has answered which call, by its number; since `count`."""

    def count(self) -> None:
        """From now on, calls are counted. Raises MemoryError."""

    @property
    def has_news(self) -> bool:
        """Whether `news` has something to tell."""

    def begin(self, limit: int, grants: tuple[tuple[bytes, int, int, bool], ...], /) -> None:
        """What the core may open by itself: numbers below `limit`; beneath directories, the longest path
        first, each (guest path without a slash at its end, host descriptor, device number, is plain)."""

    def end(self) -> None:
        """No number is in use any more, and nothing is granted. Closes what only the core has open."""

    def set(self, number: int, owner: object, host: int, flags: int, limit: int, mount: int, /) -> None:
        """The owner keeps the host's descriptor open. mount: of a file, what the guest sees as its device; 0:
        Python tells its status. Raises ValueError."""

    def hide(self, number: int, /) -> None:
        """It is in use, and Python answers. Raises ValueError."""

    def clear(self, number: int, /) -> None:
        """It is not in use."""

    def news(self) -> list[tuple[int, bool, int, int, int, int, int]]:
        """What the core has opened by itself: (number, is a file, host descriptor, flags, mount, open()'s
        status flags, position)."""

    def give(self, number: int, /) -> int:
        """The host descriptor of a new connection, which the caller closes. Raises ValueError."""

    def take_begun(self, number: int, /) -> int:
        """Bytes of the write now asked for that the core has written already. Once: it forgets them."""

    def keep_writes(self, number: int, /) -> None:
        """Writes are for Python until `take_begun`."""

def control_clock() -> int: ...
def stacks_hold(start: int, end: int, since: int) -> bool: ...
def note_returns(start: int, size: int, places: bytes, depths: bytes) -> None: ...

class Instance:
    """What the core knows of one sandbox.

    make_trap(signal, code, fault_address, instruction_address, access, rsp, registers, owner, outcome,
    outcome_key) -> exception.
    `owner` is the key of a line of the shared heap that was not its own, or no longer verifies; -1: there is
    none. `outcome` is what its memory said of a read under `outcome_key`, see tme/machine.h.
    `signal` is 0 for a timeout; `access` is 0 read, 1 write, 2 execute, -1 unknown; `registers` are 16
    u64 in the order rax rcx rdx rbx rsp rbp rsi rdi r8…r15, little-endian bytes. Called with the GIL
    held after the sandbox was left and the instance marked DEAD. A failed check of a return or branch is
    SIGSEGV with code 0x80 (SI_KERNEL) at an `hlt`; also the return from a host call, at an address in
    the gate page. An import index that no import has is SIGILL at GATE_HOSTCALL.

    `base`, `stack_low` and `stack_top` are host addresses. `base_in_r15`: the code expects the base in r15
    (and r14's upper half zero), not in gs. `checks_returns`: then a host call goes back only to what the
    target map marks as a return; False for modules whose compiler is trusted with control flow.
    `has_control`: the stack is a control stack, which needs no check.
    """

    def __init__(
        self,
        base: int,
        stack_low: int,
        stack_top: int,
        make_trap: Callable[..., BaseException],
        base_in_r15: bool = False,
        checks_returns: bool = True,
        timeout_s: float = 0.0,
        has_control: bool = False,
        thread_room: int = 0,
    ) -> None: ...
    base: int
    timeout_s: float  # 0.0: none
    @property
    def state(self) -> int: ...
    @property
    def depth(self) -> int:
        """Activations of this instance now on some thread's stack."""
    def end_threads(self) -> None: ...
    def threads(self) -> tuple[tuple[int, int, bytes] | None, ...]:
        """ValueError if one stands between two instructions: its registers go with this window only."""

    def begin_threads(self, threads: tuple[tuple[int, int, bytes] | None, ...]) -> None: ...
    def keep_words(self, words: bytes) -> None:
        """Words of 64 bits that the core puts back where an exception ends a call, each by four numbers of 32
        bits: the offset of what is added to the second, or 0; its offset; what it is before an outermost
        call; the offset of what that is, or 0. ValueError."""

    def read_control(self, offset: int, size_bytes: int) -> bytes: ...
    def kill(self) -> None:
        """Mark DEAD (closed) for ever. Raises the `busy` exception while a call is running."""

    def pause(self) -> bool:
        """Mark DEAD until `revive`; whether it was alive. If so, calls meanwhile raise busy.
        Raises busy."""

    def revive(self) -> None:
        """Mark IDLE again, whatever ended it: its window holds a new beginning. Raises busy, closed."""

    def reset(self, keep: int) -> None:
        """Give its window, which has a template, the first contents again; DEAD until `revive`. More than
        `keep` pages away from the window's start go back to the system. Raises busy, closed."""

    @property
    def has_text_room(self) -> bool: ...
    @property
    def paused(self) -> bool: ...
    def lend_text_room(self, room: Extent, /) -> None:
        """Mapped memory of the arena, at a multiple of 16. Functions copy texts that are arguments there,
        until kill() or pause(). Nothing happens to an instance that has some, or is dead."""

    def lend_descriptors(self, descriptors: GuestDescriptors, /) -> None:
        """For calls from now on that bring none of their own. An instance that has some keeps those."""

    def write(self, offset: int, data: Any) -> None:
        """Plain copy from a contiguous buffer; the caller guarantees that the range is mapped writable.
        Raises closed once it was killed, and busy while a call runs on another thread, or was interrupted on
        this one."""

    @property
    def key_id(self) -> int: ...
    def end_shared_blocks(self) -> None:
        """What its code made in the shared heap is freed. Raises busy as `write` does."""

    def read_shared(self, offset: int, size_bytes: int, /) -> bytes:
        """Of the shared heap. Raises IndexError unless it may read all of it."""

    def write_shared(self, offset: int, data: Any, /) -> None:
        """Raises IndexError unless it may write all of it, and busy as `write` does."""

    def discard(self, offset: int, size_bytes: int) -> None:
        """Whole pages of the heap become zero; their memory goes back to the system where it can. Raises busy
        as `write` does."""

    def condemn(self) -> None:
        """Mark DEAD without ending the running call: from a host function, whose exception ends it. A pause
        becomes final."""

    def doom(self) -> bool:
        """`condemn`, for ever: it cannot be revived. Whether a call runs; if so, the end of the outermost one
        calls the method abandon() of what makes traps, when nothing is left to be done for its result."""

    @property
    def closed(self) -> bool:
        """Killed or doomed."""

    def begin_callbacks(self, number: int, /) -> None:
        """Lower ones are of the sandbox whose memory this one begins with: whoever calls one gets an
        exception. They are given to others only when there are no more. Raises ValueError if there are
        callbacks already."""

    def add_callback(self, row: tuple[Any, ...], fallback: tuple[int, int, int, int] | None = None, /) -> int:
        """The index of a function that sandboxed code can call by pointer, as number MAX_IMPORTS + index; -1
        where there is no room. row: as of set_imports. fallback: rax, xmm0, rdx and xmm1 of its result where
        it raises, and the exception waits for the end of the call. Raises closed."""

    def close_callback(self, index: int, /) -> None:
        """Sandboxed code that calls it from now on gets an exception. Idempotent."""

    def lend_handles(self, handles: dict[int, Any], /) -> None:
        """What pointers whose upper half is not zero stand for. An instance that has some keeps those."""

    def set_imports(self, imports: Sequence[str | tuple[Any, ...]]) -> None:
        """One (handler, argument codes, result code[, name[, convert[, system[, read]]]]) per import index.
        name: in messages. read(index of the argument, offset) reads the texts that the core leaves to it.
        convert(result) makes the word (an int) of a result that does not convert exactly by its code, or
        raises.

        Codes: b B h H i I l L (signed/unsigned 8…64 bits), ? bool, f d, p pointer (an int offset, 32
        bits), v void; for arguments also s and y, a text as str or bytes, and o, an offset or what a handle
        stands for. Argument codes "*" mean raw: handler(integers: tuple[int, ×6], floats: bytes of 8
        u64, stack_offset: int) -> (rax: int, xmm0_bits: int) | (rax, xmm0, rdx, xmm1)."""
    def call(
        self,
        address: int,
        integers: Sequence[int],
        vectors: Sequence[int],
        stack: bytes,
        timeout_s: float,
        descriptors: GuestDescriptors = ...,
    ) -> tuple[int, int, int, int]:
        """Enter at `address` with up to 6 integer registers, 8 xmm low halves (u64 bits) and raw stack
        arguments (multiple of 8 bytes). Returns (rax, rdx, xmm0 bits, xmm1 bits), all unsigned 64-bit.
        timeout_s < 0: use the instance's. descriptors: of this call, instead of those lent. Raises busy,
        closed, a trap, KeyboardInterrupt (or whatever a Python signal handler raised), or whatever a host
        function raised."""

class Export:
    """What the functions of all sandboxes that one export makes share. If every argument converts by its code
    the call goes straight in; anything else (wrong count, keywords, other types, out of range) calls
    slow(host, *args, **kwargs), and so does everything if `arguments` is None. Code p accepts int in
    [0, 2**32), None (0), C-contiguous buffers that lie inside this window (no copy), and str, copied for the
    call into the room that the instance was lent; for a parameter code P (pointer to const) read-only buffers
    and bytes too. Result codes as above; p returns int. `attributes` are the
    functions' __doc__ and __signature__. `items` has a letter for each parameter, which says of a pointer
    what buffers may hold: one of hHiIlLfd? (as in struct), c (bytes, for which any numbers do), * (any), or -
    (only `slow` can tell). Texts are for c and *. `kinds`: of each parameter, which Pointers it takes, an
    interned str; None: any. `finish` makes what a call returns of its result, which is p. `layouts`: of each
    parameter, the struct that it points to; dicts and tuples are copied for the call, and a dict becomes what
    is in the copy afterwards if the code is p. Code V: a struct by value, whose layout says how it travels;
    as a result, that of result_layout."""

    def __new__(
        cls,
        address: int,
        name: str,
        arguments: str | None,
        result: str | None,
        slow: Callable[..., Any],
        attributes: dict[str, Any],
        items: str = "",
        kinds: tuple[str | None, ...] = (),
        finish: PointerMaker | None = None,
        layouts: tuple[StructLayout | None, ...] = (),
        result_layout: StructLayout | None = None,
    ) -> Export: ...
    def bind(self, instance: Instance, host: object, owner: object, /) -> Function:
        """For one sandbox. The owner, if not None, lives as long as the function."""

class Pointer:
    """A typed place in one instance's memory. `kind`: what it points to; functions take those of their
    parameter's kind."""

    def __new__(
        cls,
        instance: Instance,
        offset: int,
        kind: str | None,
        space: Any = ...,
        target: Any = ...,
        count: int | None = ...,
        keeps: object = ...,
        /,
    ) -> Self: ...
    @property
    def offset(self) -> int: ...
    @property
    def kind(self) -> str | None: ...
    @property
    def instance(self) -> Instance: ...
    freed: bool
    _offset: int
    _kind: str | None
    _instance: Instance
    _freed: bool
    _space: Any
    _target: Any
    _count: int | None
    _keeps: Any

class PointerMaker:
    """Makes pointers of one type: `maker(offset)` in the sandbox that it was made for, or
    `maker(instance, space, offset, count, keeps)` in any. None of offset 0."""

    def __new__(
        cls,
        type: type[Pointer],
        kind: str | None,
        target: object,
        instance: Instance = ...,
        space: object = ...,
        /,
    ) -> Self: ...
    def __call__(self, *args: Any) -> Any: ...

class StructLayout:
    """Where the members of a struct of at most 256 bytes are: (name, code as of an argument or the layout of
    an inner struct, offset, kind of a pointer[, how many of an array]). passing: how it is passed by value,
    "i" or "x" for each word in integer or vector registers, "m" in memory, "" not by the core. record: the
    type of tuples that stands for it in Python, and has the bytes it was made of as `_data`."""

    def __new__(
        cls,
        size: int,
        members: tuple[
            tuple[str, str | StructLayout, int, str | None]
            | tuple[str, str | StructLayout, int, str | None, int],
            ...,
        ],
        passing: str = "",
        record: type[tuple[Any, ...]] | None = None,
        /,
    ) -> Self: ...
    def unpack(self, data: bytes, /) -> Any: ...
    def new(
        self, maker: PointerMaker, instance: Instance, space: object, extents: Extents, value: object, /
    ) -> Any:
        """A Pointer to the struct, packed (None: zeros) into a part of the extents, which are offsets of the
        instance's window. None where that is not possible here. Raises as Instance.write."""

    def pack(self, value: object, /) -> bytes | None:
        """The struct of an exact dict, tuple or record whose items convert exactly; None of all else."""

class Function:
    """A callable bound to one instance. Attributes may be set (__dict__)."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
    __name__: str
    __dict__: dict[str, Any]
    prototype: Any
    address: int
    instance: Instance
    def __getattr__(self, name: str) -> Any: ...
    def __setattr__(self, name: str, value: Any) -> None: ...

# -- what calls cost, for `tmebox bench calls`. The functions are of type void (void), else TypeError. --
def time_crossings(function: Function, times: int) -> float:
    """Seconds of one call in which sandboxed code is entered, and returns, `times` times (at least 1). What
    one call has once is not repeated: its checks, what the watchdog is told, the GIL. A time limit is for
    all of it. Raises what the call raises."""

def time_detections(function: Function, times: int) -> tuple[float, int]:
    """As time_crossings, but accesses to a shared heap that its memory finds to have a wrong key do not end
    the call: (seconds, how many were found). Everything is done but the exception in Python."""

def time_calls(functions: tuple[Function, ...], times: int) -> float:
    """Seconds of `times` rounds of calls, each function in turn, as from Python but without its arguments and
    results."""

# -- TME-MK as software (src/tmebox/tme/). `path`: a name of tme_paths, or None for the CPU's best. -------
def tme_paths() -> list[tuple[str, bool]]:
    """Ways to compute, the fastest last, and whether this CPU can."""

def tme_seal(
    path: str | None, data_key: bytes, tweak_key: bytes, mac_key: bytes, td: int, address: int, plain: Any, /
) -> tuple[bytes, bytes]:
    """(cipher text, four bytes of MAC for each line) of at most 64 lines that begin at `address`."""

def tme_open(
    path: str | None,
    data_key: bytes,
    tweak_key: bytes,
    mac_key: bytes,
    td: int,
    address: int,
    cipher: Any,
    macs: Any,
    /,
) -> tuple[bytes, int]:
    """(plain text, a bit for each line whose MAC is wrong)."""

def tme_sha3(path: str | None, data: Any, /) -> bytes: ...
def tme_forge(
    path: str | None,
    data_key: bytes,
    tweak_key: bytes,
    mac_key: bytes,
    mac_bits: int,
    trials: int,
    seed: int,
    /,
) -> int:
    """How many of `trials` random cipher texts verify under random MACs of so many bits."""

def tme_repeat(path: str | None, lines: int, seal: int, times: int, /) -> int:
    """Open (or seal) the same lines so often, for measuring. 0: they verify."""

class TmeEngine:
    """A machine's memory path in C. Its buffer is the DRAM. `_fault` is told what goes wrong, and raises."""

    def __init__(
        self,
        *,
        memory: int,
        sets: int,
        ways: int,
        replacement: int,
        seed: int,
        kept_events: int,
        uncached: bool,
        coherent: bool,
        forbidden: bool,
        paper: bool,
        mac_bits: int,
        path: str | None,
    ) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def read(self, address: int, size: int, *, key_id: int = ...) -> bytes:
        """Load bytes through the caches. Without key_id, the address has the KeyID."""

    def write(self, address: int, data: Any, *, key_id: int = ...) -> None:
        """Store bytes through the caches."""

    def direct_store(self, address: int, line: Any, *, key_id: int = ...) -> None:
        """MOVDIR64B: one whole line, past the caches."""

    def _flush_lines(self, address: int, size: int, *, key_id: int = ...) -> None: ...
    def _flush_all(self) -> None: ...
    def _forget(self) -> None: ...
    def _configure(
        self,
        address_bits: int,
        key_bits: int,
        first_private: int,
        exclude_base: int,
        exclude_mask: int,
        excluding: bool,
        keys: tuple[tuple[bytes, bytes, bool], ...],
        mac_key: bytes,
        /,
    ) -> None: ...
    def _set_key(self, key_id: int, key: tuple[bytes, bytes, bool], /) -> None: ...
    def _set_seam(self, on: bool, /) -> None: ...
    def _side(self, line: int, value: int = ..., /) -> int: ...
    def _verifying(self, line: int, /) -> list[int]: ...
    def _counts(self) -> list[int]: ...
    def _noted(self) -> list[tuple[int, int, int, int]]: ...
    def _cached(self) -> list[tuple[int, int, int, int, bytes]]: ...
    def _owner_key(self, key_id: int, /) -> tuple[bytes, bytes] | None: ...
    def _load_uncached(self, key_id: int, line: int, count: int, /) -> tuple[bytes, int]:
        """At most 64 lines past the cache, and a bit for each that cannot be read under the KeyID."""

    def _store_uncached(self, key_id: int, line: int, data: Any, /) -> None: ...
    def _drive(
        self, accesses: int, start: int, span: int, key_id: int, write_every: int, seed: int, /
    ) -> None: ...
