"""`tmebox doctor`: what this machine has, what is missing, and what to do about it."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import resource
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from tempfile import TemporaryDirectory

import typer
from rich.table import Table

from tmebox import abi
from tmebox.cache import NoCacheError, cache_directory
from tmebox.cli.output import EXIT_FAILED, printable, size, stdout
from tmebox.driver import registers
from tmebox.errors import CompileError, LimitError

SYS_USERFAULTFD = 323
UFFD_USER_MODE_ONLY = 1
OVERCOMMIT_NEVER = 2
COMFORTABLE_MAPPINGS = 65530
SMALL_ADDRESS_SPACE = 64 * abi.GIB


@dataclass(frozen=True)
class Finding:
    """One row. `status` is "ok", "note" (works, with less) or "missing" (nothing runs without it)."""

    what: str
    status: str
    found: str
    advice: str = ""


def doctor() -> None:
    """Show what tmebox finds on this machine and what to do about what is missing.

    Exits with 0 if sandboxes can run here, with 1 if not.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    marks = {"ok": "[green]✓[/]", "note": "[yellow]·[/]", "missing": "[red]✗[/]"}
    findings = list(examine())
    for finding in findings:
        table.add_row(
            marks[finding.status], finding.what, printable(finding.found), printable(finding.advice)
        )
    out = stdout()
    out.print(table)
    missing = [finding.what for finding in findings if finding.status == "missing"]
    if missing:
        out.print(f"\n[bold red]Sandboxes cannot run here:[/] {', '.join(missing)}")
        raise typer.Exit(EXIT_FAILED)
    out.print("\n[bold green]Sandboxes can run here.[/]")


def examine() -> Iterator[Finding]:
    """Every finding, in the order it is shown."""
    for check in CHECKS:
        yield check()


def _python() -> Finding:
    found = f"{platform.python_implementation()} {platform.python_version()}"
    good = sys.version_info >= (3, 10) and platform.python_implementation() == "CPython"
    return Finding("Python", "ok" if good else "missing", found, "" if good else "use CPython 3.10 or later")


def _platform() -> Finding:
    found = f"{platform.system()} {platform.release()} {platform.machine()}"
    good = platform.system() == "Linux" and platform.machine() == "x86_64"
    return Finding(
        "system", "ok" if good else "missing", found, "" if good else "tmebox needs Linux on x86-64"
    )


def _core() -> Finding:
    try:
        from tmebox import _native
    except ImportError as error:
        return Finding("native core", "missing", str(error), "build it: pip install . (or make demo)")
    return Finding("native core", "ok", Path(getattr(_native, "__file__", "built in")).name)


def _cpu_features() -> dict[str, bool]:
    try:
        from tmebox import _native
    except ImportError:
        return {}
    return _native.cpu_features()


def _fsgsbase() -> Finding:
    if _cpu_features().get("fsgsbase"):
        return Finding("FSGSBASE", "ok", "usable: entering a sandbox needs no system call")
    advice = "works, but entering costs a system call; use Linux 5.9 or later without nofsgsbase"
    return Finding("FSGSBASE", "note", "not usable", advice)


def _vectors() -> Finding:
    features = _cpu_features()
    have = [name for name in ("avx", "avx2", "avx512f") if features.get(name)]
    return Finding("vector units", "ok", ", ".join(["sse2", *have]))


def _memory_encryption() -> Finding:
    what = "memory encryption"
    found = registers.read()
    if not found.has_tme:
        return Finding(what, "ok", "the CPU has no TME-MK; none is needed: pages isolate")
    if found.activate is None:
        advice = "to see whether it is active: as root, after `modprobe msr`"
        return Finding(what, "note", "the CPU has TME; its registers cannot be read", advice)
    try:
        layout = registers.layout(found)
    except registers.UnusableError as error:
        return Finding(what, "note", f"TME-MK is not usable: {error}", "none is needed: pages isolate")
    text = f"TME-MK with integrity: {layout.keys} keys, KeyID bits from bit {layout.key_shift}"
    if layout.taken_by_tdx:
        text += f"; TDX has {layout.taken_by_tdx} more"
    if not registers.handles_machine_checks():
        return Finding(what, "note", text, "this kernel handles no machine check: do not use the driver")
    return Finding(what, "note", text, "a stock kernel may end at a wrong key: see docs/driver.md")


def _code_region() -> Finding:
    """Really reserved, as the first module to be loaded would."""
    try:
        from tmebox.memory.code_region import CODE_REGION

        free_bytes = CODE_REGION.free_bytes()
    except (ImportError, LimitError) as error:
        return Finding(
            "code region", "missing", str(error), "import tmebox before libraries that map low addresses"
        )
    return Finding("code region", "ok", f"reserved, {size(free_bytes)} free for modules")


def _window() -> Finding:
    """Really reserved, as the first sandbox would."""
    try:
        from tmebox.memory.contents import Contents, Layout
        from tmebox.memory.windows import WINDOWS
        from tmebox.runtime.resources import limits

        layout = Layout(abi.STACK_TOP - abi.MIB, abi.IMAGE_START, abi.IMAGE_START + abi.MIB, (), abi.MIB)
        window = WINDOWS.acquire(WINDOWS.template(Contents(layout, ())))
        found = limits()
    except (ImportError, LimitError, ValueError) as error:
        return Finding("windows", "missing", str(error), "each sandbox takes 4 GiB of address space")
    text = (
        f"reserved, the first at {window.base:#x}; about {found.windows.most:,} at once ({found.substrate})"
    )
    if found.substrate == "userfault":
        return Finding("windows", "ok", text)
    return Finding("windows", "note", text, "more with userfaultfd: see there, and overcommit")


def _address_space() -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    writable, _ = resource.getrlimit(resource.RLIMIT_DATA)
    if limit == resource.RLIM_INFINITY == writable:
        return Finding("address space", "ok", "unlimited")
    if limit == resource.RLIM_INFINITY:
        advice = "for many sandboxes: ulimit -d unlimited"
        return Finding("address space", "note", f"{size(writable)} of it can be written", advice)
    status = "note" if limit >= SMALL_ADDRESS_SPACE else "missing"
    return Finding(
        "address space",
        status,
        f"limited to {size(limit)}",
        "each sandbox takes 4 GiB of it: ulimit -v unlimited",
    )


def _mappings() -> Finding:
    text = _read("/proc/sys/vm/max_map_count").strip()
    count = int(text) if text.isdigit() else 0
    status = "ok" if count >= COMFORTABLE_MAPPINGS else "note"
    advice = "" if status == "ok" else "for many sandboxes: sysctl vm.max_map_count=1000000"
    return Finding("memory mappings", status, f"vm.max_map_count = {count:,}", advice)


def _overcommit() -> Finding:
    text = _read("/proc/sys/vm/overcommit_memory").strip()
    if text == str(OVERCOMMIT_NEVER):
        advice = "every sandbox's full memory counts: small memory limits, or sysctl vm.overcommit_memory=0"
        return Finding("overcommit", "note", "never (2)", advice)
    return Finding("overcommit", "ok", {"0": "heuristic (0)", "1": "always (1)"}.get(text, "unknown"))


def _userfaultfd() -> Finding:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.syscall(SYS_USERFAULTFD, os.O_CLOEXEC | UFFD_USER_MODE_ONLY)
    if descriptor >= 0:
        os.close(descriptor)
        return Finding("userfaultfd", "ok", "usable")
    reason = os.strerror(ctypes.get_errno())
    return Finding(
        "userfaultfd",
        "note",
        f"not usable ({reason})",
        "without it there are fewer sandboxes, and slower ones: use Linux 5.11 or later, and a container "
        "profile that permits the system call",
    )


def _compiler() -> Finding:
    try:
        found = version("ziglang")
    except PackageNotFoundError:
        return Finding(
            "compiler",
            "note",
            "not installed",
            "to compile C: pip install 'tmebox[cc]'; modules run without it",
        )
    pinned = _pinned_compiler()
    if found != pinned:
        return Finding(
            "compiler",
            "note",
            f"ziglang {found}",
            f"made for ziglang {pinned}: pip install 'tmebox[cc]'",
        )
    return Finding("compiler", "ok", f"clang from ziglang {found}")


def _confinement() -> Finding:
    what = "compilers' reach"
    try:
        from tmebox.toolchain.confine import means
    except ImportError:
        return Finding(what, "note", "not known without the native core")
    found = means()
    if found.landlock and found.seccomp:
        return Finding(what, "ok", f"Landlock (ABI {found.landlock}) and seccomp")
    lacking = [name for name, has in (("Landlock", found.landlock), ("seccomp", found.seccomp)) if not has]
    return Finding(
        what,
        "note",
        f"{' and '.join(lacking)} cannot be had here",
        "a compiler that a source takes over could do what this process may: compile strangers' sources as a "
        "user without rights, or use Linux 5.13 or later and a container profile that permits both",
    )


def _pinned_compiler() -> str:
    """The version of it that the extra `cc` asks for."""
    pins = (re.match(r"ziglang==([\d.]+)", requirement) for requirement in requires("tmebox") or ())
    return next((pin[1] for pin in pins if pin), "of another version")


def _gcc() -> Finding:
    """Really run, with the options that reserve registers."""
    what, advice = "gcc, for base r15", "needed only for base r15: install gcc"
    try:
        from tmebox.toolchain.compile import gcc

        with TemporaryDirectory() as folder:
            source, output = Path(folder, "probe.i"), Path(folder, "probe.s")
            source.write_text("int probe(int *x) { return *x; }\n")
            finished = gcc.compile_preprocessed(source, output, gcc.code_flags())
    except (ImportError, CompileError, OSError) as error:
        return Finding(what, "note", str(error), advice)
    if finished.status:
        return Finding(what, "note", f"gcc {gcc.gcc().version} does not compile: {finished.messages}", advice)
    return Finding(what, "ok", f"gcc {gcc.gcc().version}, reserves registers")


def _c_library() -> Finding:
    try:
        from tmebox.toolchain.libc import libc

        folder = libc.found()
        if folder is not None:
            return Finding("C library", "ok", f"in {folder.parent}")
        folder = libc.cache_directory()
        if not os.access(folder, os.W_OK):
            return Finding("C library", "note", f"{folder} cannot be written", "set XDG_CACHE_HOME")
    except (ImportError, CompileError, OSError) as error:
        return Finding("C library", "note", str(error), "needed only to compile")
    return Finding(
        "C library", "note", "not built yet", "the first compilation builds it, in a minute or two"
    )


def _cache() -> Finding:
    try:
        return Finding("cache", "ok", f"in {cache_directory()}")
    except NoCacheError as error:
        return Finding("cache", "note", str(error), "needed only to compile")


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python,
    _platform,
    _core,
    _fsgsbase,
    _vectors,
    _memory_encryption,
    _address_space,
    _code_region,
    _window,
    _mappings,
    _overcommit,
    _userfaultfd,
    _compiler,
    _confinement,
    _gcc,
    _c_library,
    _cache,
)
