"""What debug information leads to is bounded by its size: assembly in a source writes what it likes there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.toolchain.compiling import compile_text, exports, imports
from tmebox.modulefile import codec
from tmebox.modulefile import prototypes as p
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain.build import build
from tmebox.toolchain.link.debug.work import Work
from tmebox.toolchain.options import CompileOptions, SourceText

SOURCE = "void g(void); int f(int *q) { g(); return *q; }"
UNIT, VARIABLE, CONST, FUNCTION, PARAMETER, POINTER, NAMESPACE, SUBPROGRAM = range(1, 9)
ABBREVIATIONS = f"""
.section .debug_abbrev,"",@progbits
.byte {UNIT},0x11,1,0x13,5,0,0
.byte {VARIABLE},0x34,0,3,8,0x49,0x13,0,0
.byte {CONST},0x26,0,0x49,0x13,0,0
.byte {FUNCTION},0x2e,1,3,8,0x3f,0x19,0x27,0x19,0,0
.byte {PARAMETER},5,0,3,8,0x49,0x13,0,0
.byte {POINTER},0x0f,0,0x49,0x13,0,0
.byte {NAMESPACE},0x39,1,0,0
.byte {SUBPROGRAM},0x2e,0,3,0x0e,0,0
.byte 0
"""
"""Code, tag, whether it has children, then attributes and forms."""
HEADER = ".long .Lend-.Lstart\n.Lstart: .short 5\n.byte 1,8\n.long .debug_abbrev"
C99, CPLUSPLUS = 29, 0x21


def info(body: str, language: int = C99, before: str = "") -> str:
    """A unit with these entries, before the compiler's own."""
    head = f'.section .debug_info,"",@progbits\n.Lbegin:\n{HEADER}\n.byte {UNIT}\n.short {language}'
    return f"{before}{ABBREVIATIONS}\n{head}\n{body}\n.byte 0\n.Lend:\n.text\n"


def compiled(assembly: str, **options: Any) -> ModuleFile:
    """SOURCE behind that."""
    sources = [SourceText(assembly, "hostile.s"), SourceText(SOURCE, "source.c")]
    return build(sources, CompileOptions(use_libc=False, imports=("g",), **options))


def repeated(unit: str, count: int) -> str:
    return f"{unit}\n" * count


CIRCLE = f".Lcircle: .byte {CONST}\n.long .Lcircle-.Lbegin\n"


@pytest.mark.parametrize(
    "body",
    [
        f'{CIRCLE}.byte {VARIABLE}\n.asciz "__tmebox_witness_of_g"\n.long .Lcircle-.Lbegin',
        f"{CIRCLE}.Lpointer: .byte {POINTER}\n.long .Lcircle-.Lbegin\n"
        f'.byte {FUNCTION}\n.asciz "f"\n.byte {PARAMETER}\n.asciz "q"\n.long .Lpointer-.Lbegin\n.byte 0',
        f'.byte {FUNCTION}\n.asciz "f"\n.Lq: .byte {PARAMETER}\n.asciz "q"\n.long .Lq-.Lbegin\n.byte 0',
    ],
    ids=["pointed to", "qualified", "itself"],
)
def test_references_that_lead_round_end(body: str) -> None:
    module = compiled(info(body))
    assert [item.name for item in module.exports] == ["f"]
    assert imports(module) == {"g": "void g(void)"}


def test_many_entries_may_share_one_long_name() -> None:
    names = '.section .debug_str,"MS",@progbits,1\n.Lname: .fill 4000000,1,0x62\n.byte 0\n'
    body = repeated(f".byte {SUBPROGRAM}\n.long .Lname", 4000)
    assert list(exports(compiled(info(body, before=names)))) == ["f"]


def test_many_units_may_share_one_long_table_of_abbreviations() -> None:
    table = '.section .debug_abbrev,"",@progbits\n.Llong: .fill 400000,2,0x0b03\n.byte 3\n.long 0\n.byte 0\n'
    units = "\n".join(f".long 10\n.short 5\n.byte 1,8\n.long .Llong+{2 * n}\n.byte 3,0" for n in range(200))
    source = f'{table}.section .debug_info,"",@progbits\n{units}\n.text\n'
    assert list(exports(compiled(source))) == ["f"]


def test_namespaces_may_nest() -> None:
    depth = 20_000
    body = f".fill {depth},1,{NAMESPACE}\n"
    found = f'.byte {FUNCTION}\n.asciz "f"\n.byte {PARAMETER}\n.asciz "inside"\n.long 0\n.byte 0\n'
    module = compiled(info(body + found + f".fill {depth},1,0", CPLUSPLUS))
    assert list(exports(module)) == ["f"]


def test_functions_within_namespaces_alone_are_found() -> None:
    def function(name: str, inside: str = "") -> str:
        return f'.byte {FUNCTION}\n.asciz "{name}"\n{inside}\n.byte 0\n'

    body = (
        f".byte {NAMESPACE}\n{function('a')}.byte {NAMESPACE}\n{function('b', function('c'))}.byte 0\n"
        f"{function('d')}.byte 0\n{function('e')}"
    )
    source = info(body, CPLUSPLUS)
    code = "".join(f".globl {name}\n.type {name},@function\n{name}: ret\n" for name in "abcde")
    module = compiled(source + code, exports=tuple("abcde"))
    assert exports(module) == {**{name: f"void {name}(void)" for name in "abde"}, "c": "None"}


LINES = """
.section .debug_line_str,"MS",@progbits,1
.Llong: .fill 4000000,1,0x61
.byte 0
.section .debug_line,"",@progbits
.long .Llast-.Lfirst
.Lfirst: .short 5
.byte 8,0
.long .Lprogram-.Lheader
.Lheader: .byte 1,1,1,0xfb,{line_range},1,0,0,1,{content},0x1f,{count}
{files}
.Lprogram:
{program}
.Llast:
.text
"""
ROW = ".byte 0,9,2\n.quad f\n.byte 1"
"""Sets the address, and writes a row."""


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"count": "0x80,0x20", "files": repeated(".long .Llong", 4096), "program": ""}, "many long names"),
        ({"program": f"{ROW}\n.byte 0x20"}, "a file that is not there"),
        ({"count": "2", "content": "7", "files": repeated(".long .Llong", 2), "program": ROW}, "no name"),
        ({"line_range": 0, "program": ".byte 0x20"}, "lines are divided by zero"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_line_table_that_makes_no_sense_is_left_out(changes: dict[str, object], says: str) -> None:
    table = {"line_range": 14, "content": 1, "count": "0", "files": "", "program": "", **changes}
    module = compiled(LINES.format(**table))
    assert len(module.lines.files) <= 1, says


def test_more_units_than_there_is_work_for_lead_nowhere() -> None:
    work = Work(0, most=10)
    work.spend(10)
    with pytest.raises(ValueError, match="too much work"):
        work.spend(1)


NESTED = "struct s0 { int a; };\n" + "".join(f"struct s{n + 1} {{ struct s{n} m; }};\n" for n in range(60))


def chain(first: str, step: str, count: int) -> str:
    """Types t0, t1, …, each made of the one before, and T, the last."""
    steps = "".join(step.format(old=f"t{n}", new=f"t{n + 1}") for n in range(count))
    return f"{first}\n{steps}typedef t{count} T;"


DECLARATIONS = {
    "arrays": f"typedef int T{'[1]' * 33};",
    "more arrays": f"typedef int T{'[1]' * 2000};",
    "arrays of typedefs": chain("typedef int t0;", f"typedef {{old}} {{new}}{'[1]' * 200};\n", 10),
    "structs": f"{NESTED}typedef struct s31 T;",
    "more structs": f"{NESTED}typedef struct s60 T;",
    "pointers": f"typedef int {'*' * 40} T;",
    "functions": chain("typedef void (*t0)(void);", "typedef void (*{new})({old});\n", 30),
    "a struct of 2 GiB": "typedef struct { char a[1ul << 31]; } T;",
    "a struct of 1 PiB": "typedef struct { char a[1 << 30][1 << 20]; } T;",
    "an aligned struct": "typedef struct { int a; } __attribute__((aligned(1 << 14))) T;",
}


@pytest.mark.parametrize("declarations", DECLARATIONS.values(), ids=DECLARATIONS.keys())
def test_whatever_types_a_source_has_its_module_loads(declarations: str) -> None:
    module = compile_text(f"{declarations}\nint f(T *q) {{ return 1; }} int h(int n) {{ return n; }}")
    decoded = codec.decode(codec.encode(module))
    assert exports(decoded) == exports(module)
    assert exports(module)["h"] == "int h(int n)"


def test_what_nests_too_deeply_has_a_size() -> None:
    module = compile_text(f"typedef int T{'[2]' * 20}{'[1]' * 30}; int f(T *q) {{ return 1; }}")
    ctype = module.exports[0].prototype.parameters[0].type  # type: ignore[union-attr]
    assert isinstance(ctype, p.Pointer) and p.size_of(ctype.target) == 4 << 20
    module = compile_text(f"{NESTED} int f(struct s60 *q) {{ return 1; }}")
    assert exports(module) == {"f": "int f(struct s60 *q)"}


@pytest.mark.parametrize("dimensions", ["[16]", "[16]" * 6, "[16]" * 6 + "[1]" * 11])
def test_packed_structs_in_many_arrays(dimensions: str) -> None:
    source = f"""
    struct __attribute__((packed)) part {{ int x : 32; }};
    struct __attribute__((packed)) whole {{ char c; struct part a{dimensions}; }};
    int f(struct whole *q) {{ return q->c; }}
    """
    assert exports(compile_text(source)) == {"f": "int f(struct whole *q)"}


def test_aliases_are_many() -> None:
    count = 6_000
    assembly = "".join(f".globl a{n}\n.set a{n},f\n.type a{n},@function\n" for n in range(count))
    module = compile_text(f"int f(int *q) {{ return 1; }}\n__asm__({json.dumps(assembly)});")
    assert len(module.exports) == count + 1
    assert {str(item.prototype) for item in module.exports[:100]} == {
        f"int {item.name}(int *q)" for item in module.exports[:100]
    }
