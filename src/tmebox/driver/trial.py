"""The runs that prove the driver's logic, and what each of them says."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tmebox.driver import build, disk, machine, mutants
from tmebox.driver.archive import archive
from tmebox.driver.kernels import METAPACKAGES, Kernel, find, own_module
from tmebox.driver.packages import PackagesUnavailableError

GROUPS = (
    *("alias", "grants", "mappings", "processes", "edges", "lives", "races", "noise", "cycles", "hardware"),
    "checks",
)
"""In the order in which they run: `checks` takes a processor away."""
VERDICT = re.compile(r"(ok|not ok|skip) (\S+) (.+?)(?: \([\d.]+ s\))?")
MUTANT = re.compile(r"mutant (\S+) (caught|not caught)")
COUNT = "count "
BOOT_TIMEOUT_S = 600
"""Many times what it takes on two quiet cores."""
BOOTS = 3
"""Of a kernel that ends before our program begins."""


class TrialUnavailableError(Exception):
    """This machine cannot run the trial; the message says what is missing."""


@dataclass(frozen=True)
class Effort:
    """How long the open-ended tests take."""

    noise_s: int = 60
    cycles: int = 10_000
    rounds: int = 3_000

    def options(self) -> str:
        """As the program inside takes it."""
        return f"noise={self.noise_s} cycles={self.cycles} rounds={self.rounds}"


@dataclass
class Outcome:
    """What one virtual machine said. `verdicts` are ("ok", "not ok" or "skip", group, name)."""

    title: str
    verdicts: list[tuple[str, str, str]] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    mutants: dict[str, bool] = field(default_factory=dict)
    log: str = ""

    @property
    def failed(self) -> list[str]:
        return [f"{group}: {name}" for verdict, group, name in self.verdicts if verdict == "not ok"]

    @property
    def passed(self) -> int:
        return sum(verdict == "ok" for verdict, _, _ in self.verdicts)

    @property
    def skipped(self) -> list[str]:
        return [f"{group}: {name}" for verdict, group, name in self.verdicts if verdict == "skip"]

    def take(self, line: str) -> None:
        """A line of the program inside."""
        if found := VERDICT.fullmatch(line):
            self.verdicts.append((found[1], found[2], found[3]))
        elif found := MUTANT.fullmatch(line):
            self.mutants[found[1]] = found[2] == "caught"
        elif line.startswith(COUNT):
            self.counts.append(line.removeprefix(COUNT))
        elif line.startswith("# "):
            self.reasons.append(line.removeprefix("# "))


Watcher = Callable[[str], None]


class Bench:
    """What a trial on one kernel needs: the kernel, the built driver and the built tests.

    Raises TrialUnavailableError, with the reason, where one of them cannot be had.
    """

    def __init__(self, series: str, scratch: Path) -> None:
        missing = build.missing_tools()
        if missing:
            raise TrialUnavailableError(missing)
        try:
            self.source = build.sources()
            self.qemu = machine.find_qemu()
            self.kernel: Kernel = find(series)
        except (PackagesUnavailableError, build.BuildError) as error:
            raise TrialUnavailableError(str(error)) from error
        self.series, self.scratch = series, scratch
        self.tree = build.copy(self.source, scratch / f"driver-{series}")
        self.module = build.module(self.kernel, self.tree).read_bytes()
        guest = scratch / "init"
        self.guest = (guest if guest.exists() else build.guest(self.source, guest)).read_bytes()

    def whole(
        self, effort: Effort, watch: Watcher, groups: tuple[str, ...] = GROUPS, key_bits: int = 6
    ) -> Outcome:
        """Every test, with 63 keys unless told otherwise."""
        files = {"init": self.guest, "tmebox.ko": self.module}
        arguments = f"tests={','.join(groups)} {effort.options()}"
        return self._run(f"Linux {self.kernel.release}", files, arguments, watch, key_bits=key_bits)

    def without_aliases(self, watch: Watcher) -> Outcome:
        """The negative control: no memory is at the keys' addresses. The tests of aliases must fail."""
        files = {"init": self.guest, "tmebox.ko": self.module}
        return self._run("without aliases", files, "tests=alias", watch, aliased=False)

    def mutated(self, watch: Watcher) -> Outcome:
        """Drivers with mistakes. Each must be caught."""
        files = {"init": self.guest, **dict(mutants.files(self.kernel, self.tree))}
        return self._run("mutants", files, "mutants=1 rounds=600 cycles=2000", watch)

    def python(
        self, program: str, files: Mapping[str, bytes], watch: Watcher, libraries: tuple[str, ...] = ()
    ) -> Outcome:
        """A Python program with NumPy, tmebox and the loaded driver. `files` are in the folder /extra/files
        inside, from which modules are imported, too.

        What the program prints is read like the tests' output. Raises TrialUnavailableError where no disk can
        be made.
        """
        try:
            image = disk.image(libraries)
            inside = disk.beside(program, files, self.scratch)
            driver = own_module(self.kernel, "virtio_blk")
        except (disk.DiskError, PackagesUnavailableError) as error:
            raise TrialUnavailableError(str(error)) from error
        inside |= {"init": self.guest, "tmebox.ko": self.module, "virtio_blk.ko": driver}
        ram = machine.PYTHON_RAM_BYTES
        return self._run("Python", inside, "disk=1", watch, key_bits=6, ram_bytes=ram, image=image)

    def _run(
        self,
        title: str,
        files: dict[str, bytes],
        arguments: str,
        watch: Watcher,
        key_bits: int = 2,
        aliased: bool = True,
        ram_bytes: int = machine.RAM_BYTES,
        image: Path | None = None,
    ) -> Outcome:
        boot = machine.Boot(
            self.kernel.image,
            archive(files),
            arguments,
            key_bits=key_bits,
            aliased=aliased,
            ram_bytes=ram_bytes,
            disk=image,
            timeout_s=BOOT_TIMEOUT_S,
        )
        outcome = Outcome(title)
        try:
            for line in _lines(self.qemu, boot):
                watch(line)
                outcome.take(line)
        except machine.MachineError as error:
            outcome.verdicts.append(("not ok", "machine", str(error)))
            outcome.log = error.log
        return outcome


def _lines(qemu: machine.Qemu, boot: machine.Boot) -> Iterator[str]:
    """What the program inside says. A kernel that ends before that program begins is started again: the
    driver is not loaded yet, and emulated processors of a busy machine may stand still at any time."""
    for _ in range(BOOTS - 1):
        try:
            yield from machine.run(qemu, boot)
            return
        except machine.NotStartedError as error:
            yield f"# {error}: once more"
    yield from machine.run(qemu, boot)


def mutant_count() -> int:
    return len(mutants.MUTANTS)


def all_mutants_caught(outcome: Outcome) -> bool:
    return set(outcome.mutants) == {mutant.name for mutant in mutants.MUTANTS} and all(
        outcome.mutants.values()
    )


def benches(series: tuple[str, ...] = tuple(METAPACKAGES)) -> Iterator[Bench]:
    """One for each kernel, in a scratch folder that lasts as long as the iteration."""
    with tempfile.TemporaryDirectory(prefix="tmebox-driver-") as folder:
        for each in series:
            yield Bench(each, Path(folder))
