"""What a wheel brings of the compiled libraries, so that nobody waits for them: libc and libc++.

python -m tmebox.toolchain.libc.ship        build it into the source tree
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tmebox import abi
from tmebox.progress import Report, shown
from tmebox.toolchain.libc import cxx_sources
from tmebox.toolchain.libc import libc as libc_module
from tmebox.toolchain.libc import sources as libc_sources
from tmebox.toolchain.libc.libc import libc
from tmebox.toolchain.libc.libcxx import libcxx

ISOLATIONS = abi.ISOLATIONS
"""With base gs. For r15 every machine's own gcc compiles libc."""


def ship(report: Report) -> None:
    """Put what a wheel brings into this source tree, and nothing else there. Raises as `libc` does."""
    shipped = libc_module.SHIPPED
    shipped.mkdir(exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="shipped.", dir=shipped.parent))
    try:
        shutil.copyfile(libc_sources.notice(), scratch / "musl-COPYRIGHT")
        for name, notice in cxx_sources.notices():
            shutil.copyfile(notice, scratch / name)
        for isolation in ISOLATIONS:
            built = libc(lambda done, total: report("libc", done, total), isolation=isolation)
            cxx = libcxx(lambda done, total: report("libc++", done, total), isolation=isolation)
            for path in (built.archive, built.start_object, cxx):
                directory = scratch / path.parent.name
                directory.mkdir(exist_ok=True)
                shutil.copyfile(path, directory / path.name)
        shutil.rmtree(shipped)
        scratch.chmod(0o755)
        scratch.rename(shipped)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    with shown("libraries", silent_s=0) as report:
        ship(report)
