"""What the rewriter's tests share: compile, assemble, link and run, with the pinned toolchain."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

from elftools.elf.elffile import ELFFile

from tmebox import abi
from tmebox.toolchain import sections
from tmebox.toolchain.link import fact_claims
from tmebox.toolchain.rewrite import frames
from tmebox.toolchain.rewrite.replacement import Refusal
from tmebox.toolchain.rewrite.rewrite import rewrite
from tmebox.verify import VerifiedText, verify

HERE = Path(__file__).parent
GOLDEN = {
    ("gs", "code+data"): HERE / "golden",
    ("gs", "data"): HERE / "golden_data",
    ("r15", "code+data"): HERE / "golden_r15",
}
"""By base and isolation. With data isolation alone the stack is where it was: rsp may be set to anything."""
PROGRAMS = HERE / "programs"

_TARGET = ("-target", "x86_64-linux-musl")
CODE_GENERATION = (
    "-fno-pic", "-mcmodel=small", "-fomit-frame-pointer", "-fno-stack-protector", "-fcf-protection=none",
    "-fno-addrsig", "-ftls-model=local-exec", "-fno-integrated-as", "-ffreestanding", "-nostdinc", "-w",
)  # fmt: skip


def _done(name: str, *arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ziglang", name, *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
    return done


def tool(name: str, *arguments: str | Path, text: str | None = None) -> str:
    """Run a program of the toolchain; its output. Fails the test with what it says."""
    return _done(name, *arguments, text=text).stdout


def clang(*arguments: str | Path, text: str | None = None) -> str:
    return tool("clang", *_TARGET, *arguments, text=text)


def compile_to_assembly(source: Path, *flags: str) -> str:
    return clang(*CODE_GENERATION, *flags, "-S", source, "-o", "-")


def compile_with_twin(source: Path, *flags: str) -> str:
    """As the toolchain does it: frames lie on a control stack and in its twin."""
    words: list[str | Path] = [
        *_TARGET,
        *CODE_GENERATION,
        *flags,
        *frames.FLAGS,
        frames.MACRO,
        "-S",
        source,
        "-o",
        "-",
    ]
    for more in ((), frames.WITHOUT_VARIABLE_SIZES):
        done = _done("clang", *words, *more)
        try:
            return frames.with_twin(done.stdout, frames.layouts(done.stderr)[0], elsewhere=bool(more))
        except Refusal:
            if more:
                raise
    raise AssertionError


def assemble(text: str, output: Path) -> Path:
    clang("-c", "-x", "assembler", "-", "-o", output, text=text)
    return output


def run_in_window(assembly: str, folder: Path) -> str:
    """Instrument, link with the harness, run: what the program's `run` returns, in hexadecimal."""
    (folder / "abi.h").write_text(abi._header())
    text = rewrite(assembly, file="program.s")
    text = text.replace(f'{sections.DEPTHS},""', f'{sections.DEPTHS},"a"')  # the harness reads it
    program = assemble(text, folder / "program.o")
    depths, marks = (",".join(map(str, numbers)) for numbers in (abi.LABEL_DEPTHS, abi.LABEL_MARKS))
    return _run(program, folder, f"-I{folder}", f"-DDEPTHS={depths}", f"-DMARKS={marks}")


def run_natively(assembly: str, folder: Path) -> str:
    return _run(assemble(assembly, folder / "native.o"), folder, "-DNATIVE")


def _run(program: Path, folder: Path, *flags: str) -> str:
    harness, linked = folder / "window.o", folder / "linked"
    clang(
        "-O1",
        "-ffreestanding",
        "-fno-stack-protector",
        "-mcmodel=small",
        "-fno-pic",
        *flags,
        "-c",
        HERE / "window.c",
        "-o",
        harness,
    )
    script = () if "-DNATIVE" in flags else ("-T", HERE / "window.lds")
    tool("ld.lld", *script, "-z", "norelro", harness, program, "-o", linked)
    done = subprocess.run([linked], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}"
    return done.stdout.strip()


def link(instrumented: str, folder: Path) -> ELFFile:
    """At the addresses the real linker uses. `elsewhere` is a function in another file."""
    program, linked = assemble(instrumented, folder / "program.o"), folder / "linked"
    symbols = f"--defsym=elsewhere={abi.GATE_HOSTCALL:#x}"
    options = ("-z", "norelro", "--unresolved-symbols=ignore-all", "--emit-relocs", "-e", "0", symbols)
    tool("ld.lld", "-T", HERE / "window.lds", *options, program, "-o", linked)
    return ELFFile(BytesIO(linked.read_bytes()))


def verified(instrumented: str, folder: Path, isolation: str = "code+data", base: str = "gs") -> VerifiedText:
    """Have the verifier look at it; every text address that data or code holds is claimed as a target, but
    for the tables'."""
    elf = link(instrumented, folder)
    text = elf.get_section_by_name(".text")
    symbols = elf.get_section_by_name(".symtab")
    (start,) = symbols.get_symbol_by_name("tables_start")
    tables, end = start["st_value"], text["sh_addr"] + text["sh_size"]
    targets: dict[bool, set[int]] = {True: set(), False: set()}
    claims = elf.get_section_by_name(sections.FACTS)
    places, facts = fact_claims.collected(claims.data() if claims else b"", text["sh_addr"], tables)
    about = elf.get_section_by_name(sections.DEPTHS)
    depth_places, depths = fact_claims.collected_depths(
        about.data() if about else b"", text["sh_addr"], tables
    )
    for section in elf.iter_sections(type="SHT_RELA"):
        if section.name in (f".rela{sections.FACTS}", f".rela{sections.DEPTHS}"):
            continue
        for relocation in section.iter_relocations():
            symbol = symbols.get_symbol(relocation["r_info_sym"])
            address = symbol["st_value"] + relocation["r_addend"]
            is_absolute = relocation["r_info_type"] in (1, 10, 11)
            in_table = tables <= relocation["r_offset"] < end
            if is_absolute and not in_table and text["sh_addr"] <= address < tables:
                targets[symbol["st_info"]["type"] == "STT_FUNC"].add(address)
    return verify(
        text.data(),
        text["sh_addr"],
        functions=targets[True],
        labels=targets[False],
        table_entries=(end - tables) // abi.TABLE_ENTRY,
        fact_places=places,
        facts=facts,
        depth_places=depth_places,
        depths=depths,
        isolation=isolation,
        base=base,
    )


def write_golden(name: str, source: Path | None = None) -> None:
    """NAME.in.s from C, if a source is given; and what the rewriter makes of it, in each folder with one."""
    if source is not None:
        text = compile_with_twin(source, "-O2")
        (GOLDEN["gs", "code+data"] / f"{name}.in.s").write_text(text)
    inputs = {form: folder / f"{name}.in.s" for form, folder in GOLDEN.items()}
    if not any(path.exists() for path in inputs.values()):
        raise SystemExit(f"{name}.in.s is in none of the golden folders; give a C file to make it from")
    for (base, isolation), path in inputs.items():
        if path.exists():
            text = rewrite(path.read_text(), file=path.name, base=base, isolation=isolation)
            path.with_name(f"{name}.out.s").write_text(text)


if __name__ == "__main__":
    write_golden(sys.argv[1], *map(Path, sys.argv[2:]))
