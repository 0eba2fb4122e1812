"""The steps of the tour, in order. Each does something to one machine and says what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tmebox.tme.faults import TmeError
from tmebox.tme.forgery import measure
from tmebox.tme.lab.observed import Observed, Watch
from tmebox.tme.machine import Machine
from tmebox.tme.options import Detection
from tmebox.tme.scenario import two_guests

PAGE = 0x1000
LINES = tuple(PAGE + 64 * number for number in range(4))
KEY_IDS = (0, 1, 2, 3)


@dataclass(frozen=True)
class Step:
    """One thing that was done. `code` is what a user would type; `found` what came of it, as it was
    computed."""

    title: str
    says: str
    code: str
    found: str
    observed: Observed


@dataclass(frozen=True)
class Lesson:
    """A step to come: `run` does it and returns what it found."""

    title: str
    says: str
    code: str
    run: Callable[[Machine], str]


def attempt(action: Callable[[], object]) -> str:
    """What an action answers, in words: its value, or its error."""
    try:
        value = action()
    except TmeError as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(value, bytes):
        return _text(value)
    return "done" if value is None else str(value)


def _text(data: bytes) -> str:
    """Bytes, as text if they are."""
    stripped = data.rstrip(b"\0 ")
    return repr(stripped) if stripped.isascii() and stripped.decode().isprintable() else f"{data.hex(' ')}"


def _plain(machine: Machine) -> str:
    machine.write(PAGE, b"a secret before activation")
    machine.flush()
    return f"DRAM holds {_text(machine.dram[PAGE : PAGE + 26])}"


def _activate(machine: Machine) -> str:
    machine.activate()
    again = attempt(lambda: machine.wrmsr(0x982, machine.activation()))
    return f"IA32_TME_ACTIVATE is {machine.rdmsr(0x982):#018x}. Written once more: {again}"


def _program(machine: Machine) -> str:
    for key_id in (1, 2, 3):
        machine.pconfig(key_id, "random")
    return f"Three keys. KeyID 0, which is the platform's: {attempt(lambda: machine.pconfig(0, 'random'))}"


def _share(machine: Machine) -> str:
    for address, key_id, text in zip(
        LINES, (1, 2, 1, 3), (b"one", b"two", b"one again", b"three"), strict=True
    ):
        machine.direct_store(address, text.ljust(64), key_id=key_id)
    owners = {f"{at:#x}": machine.verifying(at) for at in LINES}
    return "Each line verifies under its owner's KeyID alone: " + ", ".join(
        f"{at} under {found}" for at, found in owners.items()
    )


def _own(machine: Machine) -> str:
    return attempt(lambda: machine.read(LINES[1], 64, key_id=2))


def _wrong_read(machine: Machine) -> str:
    machine.flush()
    return attempt(lambda: machine.read(LINES[1], 64, key_id=1))


def _wrong_write(machine: Machine) -> str:
    first = attempt(lambda: machine.write(LINES[1], b"overwritten", key_id=1))
    machine.flush()
    return (
        f"The store: {first}. The owner's next read: {attempt(lambda: machine.read(LINES[1], 64, key_id=2))}"
    )


def _reassign(machine: Machine) -> str:
    machine.flush()
    machine.direct_store(LINES[1], b"now KeyID 3's".ljust(64), key_id=3)
    return f"KeyID 3 reads {attempt(lambda: machine.read(LINES[1], 64, key_id=3))}"


def _alias(machine: Machine) -> str:
    machine.direct_store(LINES[0], b"old owner".ljust(64), key_id=1)
    machine.write(LINES[0], b"OLD OWNER", key_id=1)
    machine.direct_store(LINES[0], b"new owner".ljust(64), key_id=2)
    before = attempt(lambda: machine.read(LINES[0], 64, key_id=2))
    machine.flush()
    after = attempt(lambda: machine.read(LINES[0], 64, key_id=2))
    return f"Before the old owner's dirty line left the cache: {before}. After: {after}"


def _cold_boot(machine: Machine) -> str:
    for address in LINES[:2]:
        machine.direct_store(address, b"A" * 64, key_id=1)
    one, other = (machine.dram[at : at + 16].hex() for at in LINES[:2])
    return f"Two lines of 64 times 'A' begin with {one} and {other}"


def _flip(machine: Machine) -> str:
    machine.flush()
    machine.dram[LINES[0] + 7] ^= 4
    return attempt(lambda: machine.read(LINES[0], 64, key_id=1))


def _splice(machine: Machine) -> str:
    machine.direct_store(LINES[2], b"pay Mallory".ljust(64), key_id=1)
    machine.direct_store(LINES[1], b"pay Alice".ljust(64), key_id=1)
    machine.dram.replay(machine.dram.record(LINES[2]), LINES[1])
    return attempt(lambda: machine.read(LINES[1], 64, key_id=1))


def _replay(machine: Machine) -> str:
    machine.direct_store(LINES[3], b"balance: 1000".ljust(64), key_id=3)
    old = machine.dram.record(LINES[3])
    machine.direct_store(LINES[3], b"balance: 0".ljust(64), key_id=3)
    machine.dram.replay(old)
    return f"The read gives {attempt(lambda: machine.read(LINES[3], 64, key_id=3))}, and no machine check"


def _reset(machine: Machine) -> str:
    machine.direct_store(LINES[2], b"before the reset".ljust(64), key_id=1)
    machine.reset()
    machine.activate()
    return f"With the new keys: {attempt(lambda: machine.read(LINES[2], 64, key_id=1))}"


LESSONS = (
    Lesson(
        "Without TME, DRAM holds what was written",
        "Whoever reads the memory modules reads the data.",
        'machine.write(0x1000, b"a secret before activation"); machine.flush()',
        _plain,
    ),
    Lesson(
        "Firmware activates TME-MK, once",
        "One write enables encryption, divides the physical address, and locks itself.",
        "machine.activate()",
        _activate,
    ),
    Lesson(
        "PCONFIG programs keys",
        "The kernel asks for random keys. It never sees them, and cannot read them back.",
        'machine.pconfig(1, "random")',
        _program,
    ),
    Lesson(
        "Three sandboxes share one page (the paper's figure)",
        "A whole line stored through an owner's alias is initialised for it. A page has lines of several "
        "owners.",
        "machine.direct_store(address, line, key_id=owner)",
        _share,
    ),
    Lesson(
        "The owner reads its line",
        "The line is decrypted, and its MAC fits.",
        "machine.read(0x1040, 64, key_id=2)",
        _own,
    ),
    Lesson(
        "Another sandbox reads it",
        "The caches are tagged with the KeyID, so it misses. DRAM is read, and the MAC does not fit. "
        "Hardware raises "
        "a machine check some time later; the model at once.",
        "machine.read(0x1040, 64, key_id=1)",
        _wrong_read,
    ),
    Lesson(
        "Another sandbox writes it",
        "By the paper's rule a store is not checked: the damage is found by the owner's next read. By the "
        "specification's rule the store reads the line first, and that is checked.",
        'machine.write(0x1040, b"overwritten", key_id=1); machine.read(0x1040, 64, key_id=2)',
        _wrong_write,
    ),
    Lesson(
        "A line gets another owner",
        "One direct store of a whole line (MOVDIR64B): no system call, no check, and poison is cleared.",
        "machine.direct_store(0x1040, line, key_id=3)",
        _reassign,
    ),
    Lesson(
        "Aliases that are not coherent",
        "The paper says that hardware keeps aliases coherent, Intel that software must flush. Where Intel "
        "is right, a "
        "dirty line of the old owner is written back over the new owner's data.",
        "machine.write(a, …, key_id=1); machine.direct_store(a, …, key_id=2); machine.flush()",
        _alias,
    ),
    Lesson(
        "Cold boot",
        "The attacker takes the modules out and reads them. Equal lines and equal blocks look different.",
        "machine.dram[0x1000:0x1040]",
        _cold_boot,
    ),
    Lesson(
        "A bit flips",
        "A fault, or Rowhammer.",
        "machine.dram[0x1007] ^= 4; machine.read(0x1000, 64, key_id=1)",
        _flip,
    ),
    Lesson(
        "Splicing",
        "Cipher text and MAC of one line are copied to another address of the same key. The tweak is the "
        "address.",
        "machine.dram.replay(machine.dram.record(0x1080), 0x1040)",
        _splice,
    ),
    Lesson(
        "Replay succeeds",
        "An old cipher text with its old MAC, at its own address, verifies. Nothing in TME-MK makes memory "
        "fresh.",
        "old = machine.dram.record(a); …; machine.dram.replay(old)",
        _replay,
    ),
    Lesson(
        "Reset",
        "Keys are lost, and the platform's key is another one. DRAM keeps its cipher text.",
        "machine.reset(); machine.activate()",
        _reset,
    ),
)


def tour(detection: Detection = "paper", *, seed: int | None = None) -> Iterator[Step]:
    """Run the lessons on one machine, then the two guests, then the forgeries."""
    machine = Machine(memory="1MiB", key_id_bits=4, cache="4KiB", ways=4, detection=detection, seed=seed)
    for lesson in LESSONS:
        watch = Watch(machine, LINES, KEY_IDS)
        found = lesson.run(machine)
        yield Step(lesson.title, lesson.says, lesson.code, found, watch.observed())
    yield _guests(seed)
    yield _forgeries(machine, seed)


def _guests(seed: int | None) -> Step:
    scene = two_guests(Machine(memory="2MiB", key_id_bits=4, cache="4KiB", ways=4, seed=seed))
    watch = Watch(scene.machine, (0x100000, 0x101000, 0x102000), KEY_IDS)
    scene.one.write(0x8000, b"for both guests")
    scene.one.write(0x1000, b"mine alone")
    common = attempt(lambda: scene.two.read(0x8000, 15))
    scene.machine.flush()
    other = attempt(lambda: scene.machine.read(0x100000, 10, key_id=2))
    entry = scene.one.translate(0x8000).steps[-1]
    return Step(
        "Two virtual machines share a third KeyID",
        "Each guest has a KeyID of its own, and both map one page with KeyID 3. The KeyIDs are in EPT's "
        "entries; guest "
        "page tables have none.",
        "scene = tme.two_guests()",
        f"VM 2 reads {common} in the common page. {entry}. VM 1's page under KeyID 2: {other}",
        watch.observed(),
    )


def _forgeries(machine: Machine, seed: int | None) -> Step:
    watch = Watch(machine, LINES, KEY_IDS)
    return Step(
        "Forging a MAC",
        "A random line under a random MAC passes once in 2^28 tries, if the MAC is as good as a random one. "
        "Measured with "
        "shorter MACs, and carried on.",
        "forgery.measure(range(4, 15, 2), 100)",
        str(measure(range(4, 15, 2), 100, seed=seed)),
        watch.observed(),
    )
