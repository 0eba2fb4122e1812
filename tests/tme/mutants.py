"""Builds the memory path with one thing wrong in it, as a module of its own."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tmebox.tme.machine import Machine, Modelled

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "native"
INIT = """/* The module of a mutant: only the machine. */
#include "python/face.h"
uint32_t tmebox_generation;
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "mutant", .m_size = -1};
PyMODINIT_FUNC PyInit_mutant(void) {
    PyObject *module = PyModule_Create(&definition);
    return module != NULL && PyModule_AddType(module, &tmebox_tme_engine_type) == 0 ? module : NULL;
}
"""


@dataclass(frozen=True)
class Mutation:
    """`before` stands `times` times in a file of native/tme/, and becomes `after`."""

    name: str
    file: str
    before: str
    after: str
    times: int = 1


def compiler() -> list[str]:
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"]
    pytest.skip("mutants need a C compiler")


class Workshop:
    """Compiles the files once, and of each mutant only the one that differs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._compiler = compiler()
        shutil.copytree(NATIVE, folder / "native")
        subprocess.run(
            [sys.executable, ROOT / "src/tmebox/abi.py", folder / "native/abi.h"], check=True, timeout=60
        )
        (folder / "native/init.c").write_text(INIT)
        header = folder / "native/tme/tme.h"
        header.write_text(
            header.read_text().replace('_Pragma("GCC optimize(\\"O3\\")")', "")
        )  # to compile soon
        self._sources = [
            *sorted((folder / "native/tme").glob("*.c")),
            *sorted((folder / "native/python").glob("tme_[ekv]*.c")),
        ]
        self._sources.append(folder / "native/init.c")
        self._objects = {source.name: self._compile(source, source.stem) for source in self._sources}

    def _compile(self, source: Path, name: str) -> Path:
        out = self._folder / f"{name}.o"
        include = [f"-I{self._folder / 'native'}", f"-I{sysconfig.get_path('include')}"]
        flags = ["-std=gnu11", "-O1", "-fPIC", "-w", "-c"]
        subprocess.run([*self._compiler, *flags, *include, source, "-o", out], check=True, timeout=300)
        return out

    def build(self, mutation: Mutation | None) -> type[Modelled]:
        """A kind of machine; without a mutation, one like tme.Machine."""
        objects = dict(self._objects)
        name = mutation.name if mutation else "sound"
        if mutation:
            original = self._folder / "native/tme" / mutation.file
            text = original.read_text()
            assert text.count(mutation.before) == mutation.times, f"{mutation.name}: the file has changed"
            spoilt = self._folder / f"{name}.c"
            spoilt.write_text(text.replace(mutation.before, mutation.after))
            objects[mutation.file] = self._compile(spoilt, f"{name}-mutant")
        library = self._folder / f"{name}.so"
        subprocess.run(
            [*self._compiler, "-shared", *objects.values(), "-o", library], check=True, timeout=300
        )
        loader = importlib.machinery.ExtensionFileLoader("mutant", str(library))
        spec = importlib.util.spec_from_loader("mutant", loader)
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        engine = module.TmeEngine
        parts = {"_engine": engine, "_build": Machine._build, "_dram": Machine._dram}
        return type("Mutant", (Modelled, engine), parts)
