"""`tmebox bench machine`: what the pieces of sandboxed code and of a crossing cost on this CPU.

Each piece is a few instructions in a loop, in a native program of its own. So a decision can be checked on
the CPU that it is made for. A piece that needs what the CPU lacks is left out.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tmebox import abi
from tmebox_bench.machine import machine
from tmebox_bench.peers import compile_host
from tmebox_bench.runners import pinned
from tmebox_bench.tables import Table

Progress = Callable[[str, int, int], None]

ITERATIONS = 200_000
REPEATS = 15
TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Piece:
    """before: set up once. body: one iteration. feature: a word of /proc/cpuinfo's flags that it needs.

    Registers: r12 is the base (of `buffer`, as gs is), rcx is 0, r13 counts; all others are free.
    """

    group: str
    what: str
    form: str
    body: str
    before: str = ""
    feature: str = ""


def _forms(group: str, what: str, template: str, count: int) -> list[Piece]:
    """A piece for each way to name memory. In the template, @ stands for a place, a line further each
    time, and # for one 512 bytes behind it."""
    places = {
        "rip-relative": "buffer+{0}(%rip)",
        "gs": "%gs:{0}(%ecx)",
        "base register": "{0}(%r12,%rcx)",
    }
    pieces = []
    for form, place in places.items():
        parts = [
            template.replace("@", place.format(64 * index)).replace("#", place.format(64 * index + 512))
            for index in range(count)
        ]
        needs = "fsgsbase" if form == "gs" else ""
        pieces.append(Piece(group, what, form, "\n".join(parts), feature=needs))
    return pieces


def _chain(address: str, form: str, body: str) -> Piece:
    """A load that waits for the one before. rax: what it loaded. rcx and rdx hold nothing but 0."""
    needs = "fsgsbase" if "%gs" in body else ""
    what = f"a load that waits for the last, at {address}"
    return Piece("accesses", what, form, body, "xorl %eax, %eax\nxorl %edx, %edx", needs)


_CHECKED = f"movl (%rsp), %r11d\ntestb $1, {abi.TARGET_MAP:#x}(%r11)\nje 9f\nmovq %r11, (%rsp)\nret\n9: hlt"
_CALL = "call 1f\njmp 2f\n.p2align 5\n1:\n{0}\n2:"


PIECES: tuple[Piece, ...] = (
    *_forms("accesses", "4 stores", "movq %rax, @", 4),
    *_forms("accesses", "4 loads", "movq @, %rax", 4),
    *_forms("accesses", "2 loads and 2 stores", "movq @, %rax\nmovq %rdx, #", 2),
    *_forms("accesses", "inc of one place", "incq @", 1),
    _chain("a register", "plain", "movq buffer+8192(%rax), %rax"),
    _chain("a register", "gs", "movl %gs:8192(%eax), %eax"),
    _chain("a register", "base register", "movl 8192(%r12,%rax), %eax"),
    _chain("a register", "copy, base register", "movl %eax, %esi\nmovl 8192(%r12,%rsi), %eax"),
    _chain("a sum", "plain", "movq buffer+8192(%rdx,%rax), %rax"),
    _chain("a sum", "gs", "movl %gs:8192(%edx,%eax), %eax"),
    _chain("a sum", "leal, base register", "leal (%rdx,%rax), %esi\nmovl 8192(%r12,%rsi), %eax"),
    _chain("a scaled sum", "plain", "movq buffer+8192(%rdx,%rax,4), %rax"),
    _chain("a scaled sum", "gs", "movl %gs:8192(%edx,%eax,4), %eax"),
    _chain("a scaled sum", "leal, base register", "leal (%rdx,%rax,4), %esi\nmovl 8192(%r12,%rsi), %eax"),
    Piece("returns", "call and return", "plain", _CALL.format("ret")),
    Piece("returns", "call and return", "checked", _CALL.format(_CHECKED)),
    Piece("crossing", "read MXCSR", "", "stmxcsr buffer(%rip)"),
    Piece("crossing", "write MXCSR, a constant", "", "ldmxcsr usual(%rip)"),
    Piece("crossing", "read MXCSR and write it back", "", "stmxcsr buffer(%rip)\nldmxcsr buffer(%rip)"),
    Piece("crossing", "read the x87 control word", "", "fnstcw buffer(%rip)"),
    Piece("crossing", "read the x87 status word", "", "fnstsw %ax"),
    Piece("crossing", "initialise x87", "", "fninit"),
    Piece(
        "crossing",
        "clear the x87 registers",
        "",
        "\n".join([*(f"pxor %mm{n}, %mm{n}" for n in range(8)), "emms"]),
    ),
    Piece(
        "crossing",
        "clear xmm0 to xmm15, upper halves too",
        "",
        "\n".join(["vzeroupper", *(f"vpxor %xmm{n}, %xmm{n}, %xmm{n}" for n in range(16))]),
        feature="avx",
    ),
    Piece(
        "crossing",
        "clear xmm16 to xmm31",
        "",
        "\n".join(f"vpxord %xmm{n}, %xmm{n}, %xmm{n}" for n in range(16, 32)),
        feature="avx512vl",
    ),
    Piece(
        "crossing",
        "clear k0 to k7",
        "",
        "\n".join(f"kxorw %k{n}, %k{n}, %k{n}" for n in range(8)),
        feature="avx512f",
    ),
    Piece("crossing", "read the gs base", "", "rdgsbase %rax", feature="fsgsbase"),
    Piece("crossing", "write the gs base", "", "wrgsbase %r12", feature="fsgsbase"),
)

_SOURCE = """
#define _GNU_SOURCE
#include <stdio.h>
#include <stdint.h>
#include <time.h>
#include <asm/prctl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
char buffer[65536] __attribute__((aligned(4096)));
const unsigned usual = 0x1f80;
%(declarations)s
static const struct { void (*run)(uint64_t, void *); const char *key; } pieces[] = {
%(table)s
};
static uint64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
int main(void) {
    extern char pieces_end[];
    uintptr_t first = ((uintptr_t)piece_0 & ~4095ul) + %(map)#xul;
    size_t size = ((uintptr_t)pieces_end - (uintptr_t)piece_0 + 8191) & ~4095ul;
    void *map = mmap((void *)first, size, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (map == MAP_FAILED) return 1;
    memset(map, 1, size);
    syscall(SYS_arch_prctl, ARCH_SET_GS, buffer);
    for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        uint64_t best = UINT64_MAX;
        for (int n = 0; n < %(repeats)d; n++) {
            uint64_t start = now();
            pieces[i].run(%(iterations)d, buffer);
            uint64_t spent = now() - start;
            if (spent < best) best = spent;
        }
        printf("%%s %%llu\\n", pieces[i].key, (unsigned long long)best);
        fflush(stdout);
    }
    return 0;
}
"""

_FUNCTION = """
.globl piece_{index}
.type piece_{index}, @function
.p2align 6
piece_{index}:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    movq %rdi, %r13
    movq %rsi, %r12
    xorl %ecx, %ecx
    {before}
    .p2align 6
3:
    {body}
    decq %r13
    jnz 3b
    {after}
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
.size piece_{index}, . - piece_{index}
"""


@dataclass(frozen=True)
class Costs:
    """ns: by piece; None where the CPU lacks what it needs. machine: facts by name."""

    machine: Mapping[str, str]
    ns: Mapping[Piece, float | None]


def bench_machine(progress: Progress | None = None) -> Costs:
    """Raises MissingError without a C compiler, and RuntimeError if the program fails."""
    facts = machine()
    present = _flags()
    usable = [piece for piece in PIECES if not piece.feature or piece.feature in present]
    with tempfile.TemporaryDirectory(prefix="tmebox-") as scratch_name:
        program = _build(usable, Path(scratch_name))
        found: dict[Piece, float | None] = dict.fromkeys(PIECES)
        with pinned(), subprocess.Popen([str(program)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for index, (piece, line) in enumerate(zip(usable, process.stdout, strict=False)):
                if progress is not None:
                    progress("measuring", index, len(usable))
                found[piece] = int(line.split()[1]) / ITERATIONS
            if process.wait(TIMEOUT_S):
                raise RuntimeError(f"the program that measures ended with {process.returncode}")
    return Costs(facts, found)


def _build(pieces: Sequence[Piece], scratch: Path) -> Path:
    assembly = [".text"]
    for index, piece in enumerate(pieces):
        after = "emms" if "mm0" in piece.body else ""
        assembly.append(_FUNCTION.format(index=index, before=piece.before, body=piece.body, after=after))
    (scratch / "pieces.s").write_text("\n".join(assembly) + _END)
    table = "\n".join(f'    {{piece_{index}, "{index}"}},' for index in range(len(pieces)))
    declarations = "\n".join(f"void piece_{index}(uint64_t, void *);" for index in range(len(pieces)))
    text = _SOURCE % {
        "declarations": declarations,
        "table": table,
        "map": abi.TARGET_MAP,
        "repeats": REPEATS,
        "iterations": ITERATIONS,
    }
    (scratch / "main.c").write_text(text)
    output = scratch / "pieces"
    compile_host([str(scratch / "main.c"), str(scratch / "pieces.s")], output, "-static", "-no-pie")
    return output


_END = """
.globl pieces_end
pieces_end:
.section .note.GNU-stack, "", @progbits
"""


def _flags() -> frozenset[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def costs_table(costs: Costs) -> Table:
    """A row per piece: what, in which form, ns."""
    rows = []
    for piece, ns in costs.ns.items():
        shown = f"{ns:.2f} ns" if ns is not None else f"no {piece.feature}"
        rows.append((f"{piece.group}: {piece.what}", piece.form, shown))
    return Table(("piece", "form", "each"), tuple(rows))


def to_json(costs: Costs) -> str:
    """{"machine": {…}, "pieces": [{"group": …, "what": …, "form": …, "ns": … | null}, …]}"""
    pieces = [
        {"group": piece.group, "what": piece.what, "form": piece.form, "ns": ns}
        for piece, ns in costs.ns.items()
    ]
    return json.dumps({"machine": dict(costs.machine), "pieces": pieces}, indent=1) + "\n"
