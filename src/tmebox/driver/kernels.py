"""The kernels that the driver is for: Debian's, with their headers, unpacked where anybody may write."""

from __future__ import annotations

import lzma
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tmebox.driver.packages import PackagesUnavailableError, unpacked

METAPACKAGES = {
    "6.1": ("linux-image-cloud-amd64", "linux-headers-cloud-amd64"),
    "6.12": ("linux-image-6.12-cloud-amd64", "linux-headers-6.12-cloud-amd64"),
}


@dataclass(frozen=True)
class Kernel:
    """`series` is "6.1" or the like; `image` boots; `headers` is what `make KERNEL=` takes; `modules` is the
    folder with the kernel's own modules."""

    series: str
    release: str
    image: Path
    headers: Path
    modules: Path


def find(series: str) -> Kernel:
    """Raises PackagesUnavailableError."""
    image_package, headers_package = METAPACKAGES[series]
    image_root = unpacked(image_package, _starts("linux-image-"))
    headers_root = unpacked(headers_package, _starts("linux-headers-", "linux-kbuild-"))
    image = _only(image_root, "boot/vmlinuz-*")
    release = image.name.removeprefix("vmlinuz-")
    headers = _only(headers_root, f"usr/src/linux-headers-{release}")
    _settle(headers, headers_root)
    return Kernel(series, release, image, headers, _only(image_root, f"*/modules/{release}"))


def own_module(kernel: Kernel, name: str) -> bytes:
    """A module that came with the kernel, decompressed."""
    found = [*kernel.modules.rglob(f"{name}.ko"), *kernel.modules.rglob(f"{name}.ko.xz")]
    if len(found) != 1:
        raise PackagesUnavailableError(f"{len(found)} modules {name} of Linux {kernel.release}, not one")
    content = found[0].read_bytes()
    return lzma.decompress(content) if found[0].suffix == ".xz" else content


def _starts(*beginnings: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(beginnings)


def _only(root: Path, pattern: str) -> Path:
    found = [*root.glob(pattern), *root.glob(f"usr/{pattern}")]
    if len(found) != 1:
        raise PackagesUnavailableError(f"{len(found)} of {pattern} in {root}, not one")
    return found[0]


def _settle(headers: Path, root: Path) -> None:
    """The headers expect to be below /usr/src. Type information of modules would need one more program."""
    (headers / "vmlinux").unlink(missing_ok=True)
    makefile = headers / "Makefile"
    text = makefile.read_text()
    if f"include {root}" not in text:
        makefile.write_text(text.replace("include /usr/src/", f"include {root}/usr/src/"))
