"""Snapshots as bytes: to other processes and back, and what is refused, whoever made the bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import mmap
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tmebox
from tests.forked import ChildOutcome
from tests.runtime.snapshot_source import ADDRESSES_C, STATE_C
from tmebox import abi
from tmebox.memory.code_region import usual_address
from tmebox.modulefile import snapshot as snapshotfile
from tmebox.modulefile.snapshot import HEADER, SEAL_BYTES, SnapshotFile

KEY = bytes(range(32))
PAGE = abi.PAGE_SIZE


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=STATE_C)


@pytest.fixture(scope="module")
def snapshot(module: tmebox.Module) -> tmebox.Snapshot:
    with tmebox.Sandbox(module, memory="8MiB", stack="256KiB") as sandbox:
        sandbox.choose(1)
        sandbox.fill(5000)
        return sandbox.snapshot()


@pytest.fixture(scope="module")
def good(snapshot: tmebox.Snapshot) -> SnapshotFile:
    return SnapshotFile.from_bytes(snapshot.to_bytes())


def sealed(data: bytes) -> bytes:
    """With the seal that anyone can make."""
    return data + hashlib.sha256(data).digest()


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("compress", [False, True])
def test_bytes_make_the_same_snapshot_again(
    module: tmebox.Module, snapshot: tmebox.Snapshot, key: bytes | None, compress: bool
) -> None:
    data = snapshot.to_bytes(key=key, compress=compress)
    again = tmebox.Snapshot.from_bytes(data, module, key=key)
    assert again.to_bytes(key=key, compress=compress) == data
    assert again.module is module
    with again.spawn() as spawned:
        assert spawned.apply(5) == 25
        assert spawned.sum(5000) == sum(i * i for i in range(5000))
        assert spawned.allocate(16 << 20) == 0
        assert spawned.bump() == 102


def test_compression_and_left_out_zeros_make_it_small(snapshot: tmebox.Snapshot) -> None:
    size = len(snapshot.to_bytes())
    assert len(snapshot.to_bytes(compress=True)) < size
    assert size < 100_000


ELSEWHERE = """
import sys, tmebox
names = sys.argv[1:3]
modules = [tmebox.Module.load(name) for name in names]
if sys.argv[4:]:
    modules[0] = modules[0].at(modules[0].address - 64 * tmebox.abi.MIB)
snapshot = tmebox.Snapshot.from_bytes(open(sys.argv[3], "rb").read(), modules[0])
with snapshot.spawn() as sandbox:
    print(sandbox.apply(9), sandbox.sum(5000), sandbox.bump(), sandbox.module is modules[0])
"""


@pytest.mark.parametrize("moved", [False, True])
def test_another_process_goes_on_wherever_its_module_is(
    module: tmebox.Module, snapshot: tmebox.Snapshot, tmp_path: Path, moved: bool
) -> None:
    """The heap holds a code address; the module is loaded once more, there, if it lies elsewhere."""
    same = not moved and module.address == usual_address(module.file.text)
    other = tmebox.compile(source_text="int other(void) { return 1; }")
    for name, saved in (("module", module), ("other", other)):
        saved.save(tmp_path / name)
    (tmp_path / "snapshot").write_bytes(snapshot.to_bytes(compress=True))
    names = [str(tmp_path / name) for name in ("module", "other", "snapshot")]
    command = [sys.executable, "-c", ELSEWHERE, *names, *(["moved"] if moved else [])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["81", str(sum(i * i for i in range(5000))), "102", str(same)]


def test_code_addresses_that_another_module_has_are_a_limit(
    module: tmebox.Module, good: SnapshotFile
) -> None:
    other = tmebox.compile(source_text="int there(void) { return 1; }")
    taken = dataclasses.replace(good, address=other.address)
    with pytest.raises(tmebox.LimitError, match="before other modules"):
        tmebox.Snapshot.from_bytes(taken.to_bytes(), module)


@pytest.mark.parametrize("kind", ["bytearray", "memoryview", "mmap", "subclass"])
def test_what_was_sealed_is_what_is_taken(
    good: SnapshotFile, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may write into a buffer may do so after its seal was looked at."""
    data = bytearray(good.to_bytes(key=KEY))
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = bytes(data)
    shown: Any = {"bytearray": data, "memoryview": memoryview(data), "mmap": mapped}
    written = mapped if kind == "mmap" else data
    checked = snapshotfile._require_seal

    def then_written(*arguments: Any) -> None:
        checked(*arguments)
        for place in range(HEADER.size, len(written) - SEAL_BYTES):
            written[place] ^= 0xFF

    monkeypatch.setattr(snapshotfile, "_require_seal", then_written)
    given = Bytes(data) if kind == "subclass" else shown[kind]
    assert SnapshotFile.from_bytes(given, key=KEY) == good


class Bytes(bytes):
    """Whose buffer is immutable, unless it says otherwise, which it can from Python 3.12 on."""


# -- whose it is ------------------------------------------------------------------------------------------
def test_another_version_of_the_module_refuses_it(snapshot: tmebox.Snapshot) -> None:
    data = snapshot.to_bytes()
    for old, new in (
        ("counter = 100", "counter = 101"),
        ("2 * v", "3 * v"),
        ("soil(int with)", "soil(long with)"),
    ):
        assert old in STATE_C
        with pytest.raises(tmebox.SnapshotError, match="another module"):
            tmebox.Snapshot.from_bytes(data, tmebox.compile(source_text=STATE_C.replace(old, new)))


def test_another_layout_of_windows_refuses_it(
    module: tmebox.Module, snapshot: tmebox.Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = snapshot.to_bytes()
    monkeypatch.setattr(abi, "SPILL_REGISTER", abi.SPILL_REGISTER - 8)
    with pytest.raises(tmebox.SnapshotError, match="another version of tmebox"):
        tmebox.Snapshot.from_bytes(data, module)


def test_keys_open_what_they_sealed_and_nothing_else(
    module: tmebox.Module, snapshot: tmebox.Snapshot
) -> None:
    closed, open_ = snapshot.to_bytes(key=KEY), snapshot.to_bytes()
    with pytest.raises(tmebox.SnapshotError, match="another key"):
        tmebox.Snapshot.from_bytes(closed, module, key=KEY[::-1])
    with pytest.raises(tmebox.SnapshotError, match="pass key="):
        tmebox.Snapshot.from_bytes(closed, module)
    with pytest.raises(tmebox.SnapshotError, match="not sealed with a key"):
        tmebox.Snapshot.from_bytes(open_, module, key=KEY)
    for short in (b"", b"password"):
        with pytest.raises(ValueError, match="16 bytes"):
            snapshot.to_bytes(key=short)
        with pytest.raises(ValueError, match="16 bytes"):
            tmebox.Snapshot.from_bytes(closed, module, key=short)


def test_the_sign_of_a_key_cannot_be_taken_off(module: tmebox.Module, snapshot: tmebox.Snapshot) -> None:
    body = bytearray(snapshot.to_bytes(key=KEY)[:-SEAL_BYTES])
    body[len(snapshotfile.MAGIC)] &= ~snapshotfile.KEYED
    with pytest.raises(tmebox.SnapshotError, match="not sealed with a key"):
        tmebox.Snapshot.from_bytes(sealed(bytes(body)), module, key=KEY)


def test_modules_without_code_isolation_need_a_key() -> None:
    module = tmebox.compile(source_text="int one(void) { return 1; }", isolation="data", trust_compiler=True)
    with tmebox.Sandbox(module) as sandbox:
        snapshot = sandbox.snapshot()
    with pytest.raises(tmebox.SnapshotError, match="sealed with a key"):
        tmebox.Snapshot.from_bytes(snapshot.to_bytes(), module)
    with tmebox.Snapshot.from_bytes(snapshot.to_bytes(key=KEY), module, key=KEY).spawn() as spawned:
        assert spawned.one() == 1


def test_large_sandboxes_have_to_be_asked_for(module: tmebox.Module, good: SnapshotFile) -> None:
    large = dataclasses.replace(good, memory_bytes=abi.GIB // 2).to_bytes()
    with pytest.raises(tmebox.SnapshotError, match="memory= allows"):
        tmebox.Snapshot.from_bytes(large, module)
    with pytest.raises(tmebox.SnapshotError, match="memory= allows"):
        tmebox.Snapshot.from_bytes(large, module, stack="512MiB")
    with tmebox.Snapshot.from_bytes(large, module, memory="512MiB").spawn() as spawned:
        assert spawned.array(100 << 20).size == 100 << 20


def test_large_stacks_have_to_be_asked_for(module: tmebox.Module, good: SnapshotFile) -> None:
    large = dataclasses.replace(good, stack_bytes=abi.GIB // 2)
    for memory in (None, "2GiB"):
        with pytest.raises(tmebox.SnapshotError, match="stack= allows"):
            tmebox.Snapshot.from_bytes(large.to_bytes(), module, memory=memory)
    with pytest.raises(tmebox.SnapshotError, match="stack= allows"):
        tmebox.Snapshot.from_bytes(large.to_bytes(key=KEY), module, key=KEY, stack="8MiB")
    for snapshot in (
        tmebox.Snapshot.from_bytes(large.to_bytes(), module, stack="512MiB"),
        tmebox.Snapshot.from_bytes(large.to_bytes(key=KEY), module, key=KEY),
    ):
        assert snapshot.template.contents.layout.stack_bytes == abi.GIB // 2
        snapshot.spawn().close()


# -- hostile bytes ----------------------------------------------------------------------------------------
def at(good: SnapshotFile, offset: int, size_bytes: int = PAGE) -> bytes:
    return dataclasses.replace(good, pages=((offset, b"\xcc" * size_bytes),)).to_bytes()


def test_only_writable_data_and_heap_can_be_set(
    module: tmebox.Module, snapshot: tmebox.Snapshot, good: SnapshotFile
) -> None:
    layout = snapshot.template.contents.layout
    read_only = [offset for start, end in layout.read_only for offset in (start, end - PAGE)]
    assert read_only
    outside = [0, layout.stack_low, abi.STACK_TOP - PAGE, abi.CONTROL_PAGE, layout.heap_end, *read_only]
    for offset in outside:
        with pytest.raises(tmebox.SnapshotError):
            tmebox.Snapshot.from_bytes(at(good, offset), module)
    for offset, size_bytes in ((abi.CONTROL_PAGE, 2 * PAGE), (layout.heap_end - PAGE, 2 * PAGE)):
        with pytest.raises(tmebox.SnapshotError):
            tmebox.Snapshot.from_bytes(at(good, offset, size_bytes), module)
    assert tmebox.Snapshot.from_bytes(at(good, layout.heap_end - PAGE), module)


@pytest.mark.parametrize(
    "change",
    [
        {"memory_bytes": 0},
        {"memory_bytes": PAGE},
        {"memory_bytes": abi.SHARED_END},
        {"stack_bytes": 0},
        {"stack_bytes": PAGE},
        {"stack_bytes": 1 << 63},
        {"address": 0},
        {"address": abi.CODE_BASE + PAGE},
        {"address": abi.GATE_BASE},
        {"address": (1 << 64) - abi.TEXT_ALIGN},
        {"identity": bytes(32)},
        {"pages": ((1 << 31, bytes(PAGE - 1) + b"1"),)},
    ],
    ids=str,
)  # fmt: skip
def test_numbers_out_of_range_are_refused(
    module: tmebox.Module, good: SnapshotFile, change: dict[str, Any]
) -> None:
    with pytest.raises((tmebox.SnapshotError, tmebox.LimitError)):
        tmebox.Snapshot.from_bytes(
            dataclasses.replace(good, **change).to_bytes(), module, memory=abi.SHARED_END
        )


@pytest.mark.parametrize(
    "runs",
    [
        [(abi.IMAGE_START, 2), (abi.IMAGE_START + PAGE, 1)],
        [(abi.IMAGE_START + PAGE, 1), (abi.IMAGE_START, 2)],
        [(abi.IMAGE_START, 1), (abi.IMAGE_START + PAGE, 2)],
        [(abi.IMAGE_START + 1, 3)],
        [(abi.IMAGE_START, 0), (abi.IMAGE_START + PAGE, 3)],
        [(abi.IMAGE_START, 2)],
        [(abi.IMAGE_START, 4)],
        [(0xFFFF_F000, 3)],
        [(0, 0xFFFF_FFFF)],
    ],
    ids=str,
)  # fmt: skip
def test_runs_that_overlap_or_do_not_add_up_are_refused(
    good: SnapshotFile, runs: list[tuple[int, int]]
) -> None:
    three = dataclasses.replace(good, pages=((abi.IMAGE_START, b"\xcc" * 3 * PAGE),)).to_bytes()
    assert SnapshotFile.from_bytes(three).pages[0][0] == abi.IMAGE_START
    fields = list(HEADER.unpack_from(three))
    fields[2] = len(runs)
    table = b"".join(snapshotfile.RUN.pack(*run) for run in runs)
    pages = three[HEADER.size + snapshotfile.RUN.size : -SEAL_BYTES]
    with pytest.raises(tmebox.SnapshotError):
        SnapshotFile.from_bytes(sealed(HEADER.pack(*fields) + table + pages))


@pytest.mark.parametrize("extra_pages", [-1, 1, 100_000])
def test_pages_that_decompress_to_more_or_less_than_announced_are_refused(
    good: SnapshotFile, extra_pages: int
) -> None:
    pages = ((abi.IMAGE_START, b"\xcc" * 3 * PAGE),)
    data = dataclasses.replace(good, pages=pages).to_bytes(compress=True)
    fields = list(HEADER.unpack_from(data))
    bomb = zlib.compress(b"\xcc" * (3 + extra_pages) * PAGE)
    fields[-1] = len(bomb)
    table = data[HEADER.size : HEADER.size + snapshotfile.RUN.size]
    with pytest.raises(tmebox.SnapshotError, match="contradicts"):
        SnapshotFile.from_bytes(sealed(HEADER.pack(*fields) + table + bomb))


def test_every_truncation_and_every_flipped_bit_is_refused(
    module: tmebox.Module, snapshot: tmebox.Snapshot
) -> None:
    data = snapshot.to_bytes(key=KEY, compress=True)
    for size_bytes in (0, 1, 7, 8, HEADER.size - 1, HEADER.size, HEADER.size + SEAL_BYTES, len(data) - 1):
        with pytest.raises(tmebox.SnapshotError):
            tmebox.Snapshot.from_bytes(data[:size_bytes], module, key=KEY)
    with pytest.raises(tmebox.SnapshotError):
        tmebox.Snapshot.from_bytes(data + b"\0", module, key=KEY)
    for place in [*range(HEADER.size + 16), *random.sample(range(len(data)), 100)]:
        damaged = bytearray(data)
        damaged[place] ^= 1 << random.randrange(8)
        with pytest.raises(tmebox.SnapshotError):
            tmebox.Snapshot.from_bytes(damaged, module, key=KEY)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_bytes_that_are_changed_and_sealed_again_are_a_snapshot_or_an_error(
    good: SnapshotFile, data: st.DataObject
) -> None:
    """What anyone can do to a snapshot without a key. Only the exceptions count that are documented."""
    small = dataclasses.replace(good, pages=good.pages[:1])
    body = bytearray(small.to_bytes(compress=data.draw(st.booleans()))[:-SEAL_BYTES])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, min(len(body), HEADER.size + 32) - 1))
        body[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 8))
    try:
        file = SnapshotFile.from_bytes(sealed(bytes(body[: len(body) - cut])))
    except tmebox.SnapshotError:
        return
    assert SnapshotFile.from_bytes(file.to_bytes()) == file


@settings(max_examples=200, deadline=None)
@given(junk=st.binary(max_size=400))
def test_junk_is_refused(junk: bytes) -> None:
    for data in (junk, snapshotfile.MAGIC + junk, sealed(snapshotfile.MAGIC + junk.ljust(120, b"\0"))):
        with pytest.raises(tmebox.SnapshotError):
            SnapshotFile.from_bytes(data)


@pytest.mark.parametrize("seed", range(8))
def test_a_sandbox_with_random_memory_harms_nobody(
    seed: int, module: tmebox.Module, good: SnapshotFile, forked: Callable[..., ChildOutcome]
) -> None:
    """Sealed by someone without scruples: heap, globals, code addresses and libc's own state are noise."""
    generator = random.Random(seed)
    pages = []
    for offset, data in good.pages:
        noisy = bytearray(data)
        for _ in range(generator.choice((3, 100, 3000))):
            noisy[generator.randrange(len(noisy))] = generator.randrange(256)
        pages.append((offset, bytes(noisy)))
    hostile = dataclasses.replace(good, pages=tuple(pages)).to_bytes()

    def attack() -> bool:
        with tmebox.Sandbox(module) as witness:
            witness.soil(1)
            snapshot = tmebox.Snapshot.from_bytes(hostile, module)
            for action in ("bump", "apply", "sum", "say", "allocate"):
                with snapshot.spawn(timeout=0.5, stdout=None) as sandbox:
                    argument = {"apply": (3,), "sum": (5000,), "say": ("x",), "allocate": (100,)}
                    try:
                        sandbox.call(action, *argument.get(action, ()))
                    except tmebox.Trap:
                        sandbox.reset()
            return bool(witness.soiled() == 3 * PAGE)

    assert forked(attack).result()


def test_bytes_of_a_snapshot_hold_nothing_of_stack_control_page_or_constants(
    module: tmebox.Module,
) -> None:
    with tmebox.Sandbox(module) as sandbox:
        data = sandbox.snapshot().to_bytes()
        offsets = [offset for offset, _ in SnapshotFile.from_bytes(data).pages]
    assert min(offsets) >= abi.IMAGE_START
    assert sandbox.base.to_bytes(8, "little") not in data and b"constant" not in data


def test_addresses_of_a_window_do_not_move_with_a_snapshot() -> None:
    """A pointer inside is an offset: it means the same in any window."""
    module = tmebox.compile(source_text=STATE_C + ADDRESSES_C)
    with tmebox.Sandbox(module) as sandbox:
        place = sandbox.allocate(100)
        sandbox.poke(place, 77)
        snapshot = sandbox.snapshot()
    spawned = [snapshot.spawn() for _ in range(5)]
    assert [box.peek(place) for box in spawned] == [77] * 5
    assert len({box.base for box in spawned}) == 5
