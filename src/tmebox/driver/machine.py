"""A virtual machine whose memory appears once for each KeyID, as if nothing were encrypted.

QEMU emulates the processor (TCG: no KVM, no privileges). The machine's RAM is one file, and the same file is
plugged in again as memory modules at `key << shift`. So a page-table entry with a KeyID reaches the same
bytes as one without, and everything about page tables can be tested. No key and no integrity is in it.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tmebox.driver.monitor import Monitor, MonitorError
from tmebox.driver.packages import PackagesUnavailableError, with_missing_dependencies

MIB = 1 << 20
RAM_BYTES = 512 * MIB
PYTHON_RAM_BYTES = 1024 * MIB
PHYSICAL_BITS = 46
KEY_SHIFT = 36
ASK_AGAIN_S = 0.002
TRIES = 2000
ARGUMENTS = (
    "console=ttyS0 panic=-1 oops=panic acpi_no_memhotplug 8250.nr_uarts=4 "
    "no_timer_check nowatchdog rcupdate.rcu_cpu_stall_suppress=1"
)
"""`acpi_no_memhotplug`: the kernel must not use the memory modules as memory. The last three: on a busy
machine the emulated processors stand still for seconds, which is no fault of who runs on them. What does not
end is found by the tests' own limits."""

LAST_WORDS = re.compile(r"Kernel panic.*|BUG: .*|Oops: .*")


class MachineError(Exception):
    """The virtual machine did not do what was asked; `log` is what its kernel said."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log


class NotStartedError(MachineError):
    """Its kernel ended before our program began: nothing of ours has run yet."""


@dataclass(frozen=True)
class Qemu:
    """The command, the folders for its data, and the environment it needs."""

    command: str
    folders: tuple[Path, ...] = ()
    libraries: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Boot:
    """`key_bits`: aliases for 2 ** key_bits − 1 keys, with `aliased`. `disk`: an image as the first disk."""

    image: Path
    initramfs: bytes
    arguments: str
    key_bits: int = 2
    aliased: bool = True
    ram_bytes: int = RAM_BYTES
    processors: int = 2
    disk: Path | None = None
    timeout_s: float = 300


@dataclass
class Output:
    """What the program inside said, line by line, and the kernel's log."""

    lines: list[str] = field(default_factory=list)
    log: str = ""


def find_qemu() -> Qemu:
    """The machine's own, or else Debian's, unpacked. Raises PackagesUnavailableError."""
    command = shutil.which("qemu-system-x86_64")
    if command:
        return Qemu(command)
    root = with_missing_dependencies("qemu-system-x86")
    unpacked = root / "usr/bin/qemu-system-x86_64"
    if not unpacked.exists():
        raise PackagesUnavailableError("qemu-system-x86 has no qemu-system-x86_64")
    folders = (root / "usr/share/qemu", root / "usr/share/seabios")
    # Debian 12 has some libraries outside of /usr, which is the same directory only where it is installed.
    return Qemu(str(unpacked), folders, tuple(root / top / "x86_64-linux-gnu" for top in ("usr/lib", "lib")))


def run(qemu: Qemu, boot: Boot) -> Iterator[str]:
    """Boot, and yield each line that the program inside says, until the machine switches itself off.

    Raises MachineError if it does not say "finished", or not in time; NotStartedError where its kernel ended
    before it said "started".
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tmebox-driver-")))
        ends = [stack.enter_context(end) for pair in range(3) for end in socket.socketpair()]
        ours, theirs = ends[::2], ends[1::2]
        memory = stack.enter_context(os.fdopen(os.memfd_create("tmebox-guest-ram"), "r+b"))
        memory.truncate(boot.ram_bytes)
        (folder / "initramfs").write_bytes(boot.initramfs)
        log = folder / "console"
        descriptors = [end.fileno() for end in theirs]
        command = _command(qemu, boot, folder, memory.fileno(), descriptors)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[memory.fileno(), *descriptors],
            env=_environment(qemu),
        )
        stack.callback(_end, process)
        for end in theirs:
            end.close()
        said, asked, monitor = ours
        deadline = time.monotonic() + boot.timeout_s
        conversation = _Conversation(process, said, asked, monitor, log, deadline)
        yield from conversation.lines()


def _environment(qemu: Qemu) -> dict[str, str]:
    if not qemu.libraries:
        return dict(os.environ)
    return {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, qemu.libraries)),
        "QEMU_MODULE_DIR": str(qemu.libraries[0] / "qemu"),
    }


def _command(qemu: Qemu, boot: Boot, folder: Path, memory: int, descriptors: Sequence[int]) -> list[str]:
    keys = (1 << boot.key_bits) - 1 if boot.aliased else 0
    size = boot.ram_bytes // MIB
    # The room for memory modules begins above the RAM; each may need a GiB to be aligned.
    room_mib = ((keys + 2) << KEY_SHIFT) // MIB
    file = f"memory-backend-file,size={size}M,mem-path=/proc/self/fd/{memory},share=on"
    command = [qemu.command]
    for directory in qemu.folders:
        command += ["-L", str(directory)]
    command += ["-accel", "tcg", "-cpu", f"max,vendor=GenuineIntel,phys-bits={PHYSICAL_BITS}"]
    command += ["-machine", "q35,memory-backend=ram", "-object", f"{file},id=ram"]
    command += ["-m", f"{size}M,slots={keys},maxmem={room_mib}M" if keys else f"{size}M"]
    for key in range(1, keys + 1):
        command += ["-object", f"{file},id=ram{key}"]
        command += ["-device", f"pc-dimm,id=alias{key},memdev=ram{key},addr={key << KEY_SHIFT:#x}"]
    command += ["-smp", str(boot.processors), "-nodefaults", "-display", "none", "-no-reboot"]
    command += ["-kernel", str(boot.image), "-initrd", str(folder / "initramfs")]
    arguments = f"{ARGUMENTS} bits={boot.key_bits} shift={KEY_SHIFT} {boot.arguments}"
    command += ["-append", arguments, "-serial", f"file:{folder / 'console'}"]
    for name, descriptor in zip(("said", "asked"), descriptors, strict=False):
        command += ["-chardev", f"socket,id={name},fd={descriptor}", "-serial", f"chardev:{name}"]
    command += ["-chardev", f"socket,id=monitor,fd={descriptors[2]}"]
    command += ["-mon", "chardev=monitor,mode=control"]
    if boot.disk:
        command += ["-drive", f"file={boot.disk},format=raw,if=virtio,snapshot=on"]
    return command


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


class _Conversation:
    """Reads what the program inside says, and answers its questions by asking the monitor."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        said: socket.socket,
        asked: socket.socket,
        monitor: socket.socket,
        log: Path,
        deadline: float,
    ) -> None:
        self._process, self._said, self._asked = process, said, asked
        self._connection, self._log, self._deadline = monitor, log, deadline
        self._monitor: Monitor | None = None
        self._pieces = {said: b"", asked: b""}

    def lines(self) -> Iterator[str]:
        started = finished = False
        try:
            self._connection.settimeout(60)
            self._monitor = Monitor(self._connection)
            for source, line in self._arriving():
                if source is self._asked:
                    self._answer(line)
                    continue
                started = started or line == "started"
                finished = finished or line == "finished"
                yield line
        except (MonitorError, OSError, ValueError) as error:
            raise self._error(str(error)) from error
        if not started:
            raise self._error("its kernel ended before it started our program", NotStartedError)
        if not finished:
            raise self._error("it ended too early")

    def _arriving(self) -> Iterator[tuple[socket.socket, str]]:
        with selectors.DefaultSelector() as selector:
            for source in (self._said, self._asked):
                selector.register(source, selectors.EVENT_READ, source)
            while True:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    raise self._error("it did not finish in time")
                for key, _ in selector.select(left):
                    source = key.data
                    piece = source.recv(1 << 16)
                    if not piece:
                        return
                    *lines, self._pieces[source] = (self._pieces[source] + piece).split(b"\n")
                    for line in lines:
                        yield source, line.decode(errors="replace").strip("\r")

    def _answer(self, question: str) -> None:
        """`entry ADDRESS PROBE WORD` or `check ADDRESS LOW HIGH PROBE WORD`, in hexadecimal. A machine check
        comes while the program runs at an address in [LOW, HIGH): a thread that expects it."""
        assert self._monitor
        what, *words = question.split()
        address, *between, probe, word = (int(each, 16) for each in words)
        for _ in range(TRIES):
            self._monitor.stop()
            asker_runs = self._monitor.word(probe) == word
            answer = ""
            if asker_runs and what == "entry":
                answer = f"{self._monitor.entry(address):x}"
            elif asker_runs and what == "check" and self._monitor.runs_user_code(*between):
                self._monitor.machine_check(self._monitor.entry(address) & ~(1 << 63) & ~0xFFF)
                answer = "done"
            self._monitor.go_on()
            if answer:
                self._asked.sendall(answer.encode() + b"\n")
                return
            time.sleep(ASK_AGAIN_S)
        raise MonitorError(f"whoever asked {question!r} never ran")

    def _error(self, message: str, kind: type[MachineError] = MachineError) -> MachineError:
        self._process.kill()
        output = self._process.stdout.read().decode(errors="replace") if self._process.stdout else ""
        log = self._log.read_text(errors="replace") if self._log.exists() else ""
        log = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", log)
        said = [*output.strip().splitlines()[:1], *LAST_WORDS.findall(log)[:1]]
        return kind(": ".join(["the virtual machine", message, *said]), output + log)
