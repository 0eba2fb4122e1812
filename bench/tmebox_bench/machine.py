"""What a benchmark ran on, without anything that names a person or a host."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path

import tmebox

WHEN = "measured"
"""The fact that is of a run, not of a machine: its day."""
REMARK = "remark"
"""What has to be known about a run later, if somebody writes it into its JSON."""
PACKAGES = ("ziglang", "wasmtime", "cffi", "numpy")


def machine() -> dict[str, str]:
    """Facts by name, in the order to show them."""
    facts = {
        "CPU": cpu_model(_read("/proc/cpuinfo")),
        "CPUs": str(len(os.sched_getaffinity(0))),
        "caches": ", ".join(_caches()),
        "hypervisor": "yes" if " hypervisor " in _read("/proc/cpuinfo") else "no",
        "memory": memory(_read("/proc/meminfo")),
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "tmebox": tmebox.__version__,
    }
    facts |= {name: _version(name) for name in PACKAGES}
    facts[WHEN] = datetime.date.today().isoformat()
    return {name: value for name, value in facts.items() if value}


def cpu_model(cpuinfo: str) -> str:
    """Model name, with family, model and stepping: names alone can be generic."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    family, model, stepping = (fields.get(name, "?") for name in ("cpu family", "model", "stepping"))
    name = fields.get("model name", "unknown")
    return f"{name} (family {family}, model {model}, stepping {stepping})"


def slug(cpu: str) -> str:
    """A name for files of `cpu_model`'s: "amd-25-17" of "AMD EPYC (family 25, model 17, stepping 1)"."""
    maker = re.match(r"[A-Za-z]+", cpu)
    numbers = re.search(r"\(family (\d+), model (\d+)", cpu)
    return "-".join([maker[0].lower() if maker else "cpu", *(numbers.groups() if numbers else ())])


def memory(meminfo: str) -> str:
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return f"{int(line.split()[1]) / (1 << 20):.0f} GiB"
    return ""


def _caches() -> list[str]:
    found = []
    for folder in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_read(folder / name).strip() for name in ("level", "type", "size"))
        if size:
            found.append(f"L{level}{kind[0].lower() if kind != 'Unified' else ''} {size}")
    return found


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _read(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
