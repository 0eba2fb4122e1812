"""Prototypes and line tables out of debug information."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.toolchain.compiling import compile_text, exports, imports
from tmebox.modulefile import codec
from tmebox.modulefile import prototypes as p
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain.link.debug.entries import units
from tmebox.toolchain.link.debug.prototypes import prototypes
from tmebox.toolchain.link.linked import Elf


def prototype(module: ModuleFile, name: str) -> p.Prototype:
    items: list[Any] = [*module.exports, *module.imports]
    found: p.Prototype | None = next(item.prototype for item in items if item.name == name)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "declaration",
    [
        "void f(void)",
        "int f(int a, int b)",
        "unsigned char f(signed char a, unsigned short b, long long c)",
        "unsigned long f(long a, __int128 b)",
        "double f(float x, double y)",
        "const char *f(const char *s, char *t, const void *p)",
        "char **f(char **argv)",
        "int f(const char *format, ...)",
        "long double f(int n)",
        "struct pair f(struct pair v, struct pair *p, union any *u)",
        "size_t f(uint8_t *bytes, size_t count)",
        "enum color f(enum color c)",
        "point f(point p, const point *q)",
    ],
)
@pytest.mark.parametrize("level", ["-O0", "-O2"])
def test_a_prototype_is_what_the_source_says(declaration: str, level: str) -> None:
    source = f"""
    #include <stddef.h>
    #include <stdint.h>
    struct pair {{ int a, b; }}; union any {{ int i; float f; }}; enum color {{ RED, BLUE = 7 }};
    typedef struct {{ double x, y; }} point;
    {declaration} {{ __builtin_trap(); }}
    """
    assert exports(compile_text(source, optimize=level)) == {"f": declaration.replace("_Bool", "bool")}


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-Os"])
def test_imports_have_prototypes_at_every_level_of_optimization(level: str) -> None:
    source = "double area(int w, float h); void log_it(const char *, ...);"
    module = compile_text(source + 'int f(int x) { log_it("x"); return area(x, 2); }', optimize=level)
    assert imports(module) == {"area": "double area(int, float)", "log_it": "void log_it(const char *, ...)"}


def test_unoptimized_code_is_not_optimized() -> None:
    source = "int f(void) {\n#ifdef __OPTIMIZE__\n return 1;\n#else\n int x = 5; x += 2; return x;\n#endif\n}"
    small, large = compile_text(source), compile_text(source, optimize="-O0")
    assert b"\xb8\x07\0\0\0" in small.text or b"\xb8\x01\0\0\0" in small.text
    assert b"\x05\0\0\0" in large.text and len(large.text) > len(small.text)


def test_struct_fields_have_names_offsets_and_types() -> None:
    source = """
    struct inner { char tag; short n[3]; };
    struct node {
        struct inner in; struct node *next; int (*call)(int); const char *name; _Bool on; long double big;
    };
    int f(const struct node *p) { return p->on; }
    """
    pointer = prototype(compile_text(source), "f").parameters[0].type
    assert isinstance(pointer, p.Pointer) and pointer.const
    node = pointer.target
    assert isinstance(node, p.Struct)
    assert (node.name, node.size_bytes, node.align) == ("struct node", 64, 16)
    assert [(field.name, field.offset) for field in node.fields] == [
        ("in", 0), ("next", 8), ("call", 16), ("name", 24), ("on", 32), ("big", 48),
    ]  # fmt: skip
    inner = node.fields[0].type
    assert isinstance(inner, p.Struct)
    assert inner.fields[1] == p.StructField("n", 2, p.Array(p.Integer(16, True, "short"), 3))
    assert node.fields[1].type == p.Pointer(p.Opaque("struct node", 64))
    assert node.fields[2].type == p.Pointer(
        p.Function(p.Integer(32, True, "int"), (p.Parameter("", p.Integer(32, True, "int")),))
    )
    assert node.fields[4].type == p.Bool()


def test_bit_fields_have_a_place_and_a_width() -> None:
    source = "struct bits { unsigned a : 3, b : 7; int c; }; int f(struct bits *p) { return p->c; }"
    pointer = prototype(compile_text(source), "f").parameters[0].type
    assert isinstance(pointer, p.Pointer) and isinstance(pointer.target, p.Struct)
    assert (pointer.target.size_bytes, pointer.target.align) == (8, 4)
    places = [(field.name, field.offset, field.bit, field.bits) for field in pointer.target.fields]
    assert places == [("a", 0, 0, 3), ("b", 0, 3, 7), ("c", 4, 0, 0)]


def test_an_enum_is_an_integer_of_its_own_name_and_sign() -> None:
    source = (
        "enum small { A, B }; enum wide { C = -1, D }; int f(enum small a, enum wide b) { return a + b; }"
    )
    parameters = prototype(compile_text(source), "f").parameters
    assert [item.type for item in parameters] == [
        p.Integer(32, False, "enum small"),
        p.Integer(32, True, "enum wide"),
    ]


def test_types_that_c_alone_has_are_named() -> None:
    source = """
    _Complex double f(_Complex double x) { return x; }
    typedef float four __attribute__((vector_size(16))); four g(four v, four *p) { return v + *p; }
    int h(_BitInt(37) x, __float128 *q) { return (int)x; }
    """
    four = "float __attribute__((vector_size(16)))"
    assert exports(compile_text(source)) == {
        "f": "double _Complex f(double _Complex x)",
        "g": f"{four} g({four} v, {four} *p)",
        "h": "int h(_BitInt(?) x, __float128 *q)",
    }


def test_aliases_and_assembler_names_have_the_prototype_of_what_they_name() -> None:
    source = """
    int real(int a, char *b) { return a; }
    int other(int a, char *b) __attribute__((alias("real")));
    static int hidden(double d) { return d; }
    int weak(double d) __attribute__((weak, alias("hidden")));
    int named(int a) __asm__("symbol"); int named(int a) { return a; }
    int wanted(int a) __asm__("host_symbol"); int use(int a) { return wanted(a); }
    """
    module = compile_text(source)
    assert exports(module) == {
        "real": "int real(int a, char *b)",
        "other": "int other(int a, char *b)",
        "weak": "int weak(double d)",
        "symbol": "int symbol(int a)",
        "use": "int use(int a)",
    }
    assert imports(module) == {"host_symbol": "int host_symbol(int)"}


@pytest.mark.parametrize(
    ("parameter", "text"),
    [
        ("byte *v", "const byte *v"),
        ("bytes *v", "const bytes *v"),
        ("const char *const *v", "const char *const *v"),
        ("char *const *v", "char *const *v"),
        ("const int (*v)[4]", "const int[4] *v"),
        ("plain *v", "plain *v"),
    ],
)
def test_const_is_seen_through_typedefs_and_arrays(parameter: str, text: str) -> None:
    source = "typedef const unsigned char byte; typedef byte bytes; typedef volatile char plain;"
    module = compile_text(f"{source} int f({parameter}) {{ return v != 0; }}")
    assert exports(module) == {"f": f"int f({text})"}


def test_a_definition_without_a_prototype_takes_what_its_callers_promote() -> None:
    source = "double f(x, c, y) float x; char c; double y; { return x + c + y; }"
    assert exports(compile_text(source, flags=("-std=c99",))) == {"f": "double f(double x, char c, double y)"}


def test_calling_conventions_are_named_unless_callers_need_not_know() -> None:
    names = ("ms_abi", "regcall", "preserve_none", "preserve_most", "sysv_abi")
    source = "".join(f"__attribute__(({name})) int f_{name}(int a) {{ return a; }}" for name in names)
    module = compile_text(source)
    found = {
        e.name.removeprefix("__regcall3__"): e.prototype.convention for e in module.exports if e.prototype
    }
    unusual = {f"f_{name}": name for name in names[:3]}
    assert found == unusual | {"f_preserve_most": "", "f_sysv_abi": ""}


@pytest.mark.parametrize(
    ("struct", "align", "certain"),
    [
        ("struct s { int a, b; }", 4, True),
        ("struct s { __int128 v; }", 16, False),
        ("struct s { int a; __int128 v; }", 16, True),
        ("struct __attribute__((packed)) s { char a; __int128 v; }", 1, True),
        ("struct __attribute__((packed)) s { __int128 v; int a; }", 1, True),
        ("struct s { _Alignas(16) long a; long b, c; }", 16, True),
        ("struct __attribute__((aligned(32))) s { long a; }", 32, True),
    ],
)
def test_the_alignment_of_a_struct_is_known_or_said_not_to_be(struct: str, align: int, certain: bool) -> None:
    module = compile_text(f"{struct}; int f(struct s v) {{ return sizeof v; }}")
    found = prototype(module, "f").parameters[0].type
    assert isinstance(found, p.Struct)
    assert (found.align, found.align_certain) == (align, certain)


def test_a_declaration_without_parameters_says_nothing_and_a_definition_does() -> None:
    module = compile_text("int g(); int f() { return g(1, 2); }", flags=("-std=c99",))
    assert (exports(module), imports(module)) == ({"f": "int f(void)"}, {"g": "None"})


def test_a_type_that_would_take_exponential_space_is_cut_short() -> None:
    levels = "".join(f"struct s{i} {{ struct s{i - 1} a, b; }};" for i in range(1, 18))
    module = compile_text(f"struct s0 {{ char *p; }}; {levels} int f(struct s17 *p, int n) {{ return n; }}")
    assert exports(module)["f"] in ("None", "int f(struct s17 *p, int n)")
    assert len(codec.encode(module)) < 100_000


def test_an_exported_function_beats_a_static_one_of_the_same_name() -> None:
    module = compile_text(
        "static int f(char c) { return c; } int g(int x) { return f(x) + f(x + 1); }",
        "int f(double d, double e) { return d * e; }",
    )
    assert exports(module)["f"] == "int f(double d, double e)"


# -- hostile debug information ---------------------------------------------------------------------------
@pytest.mark.parametrize("section", [".debug_info", ".debug_abbrev", ".debug_str_offsets", ".debug_line"])
def test_debug_information_that_makes_no_sense_only_loses_prototypes(section: str) -> None:
    junk = ", ".join(str((i * 7919) % 256) for i in range(400))
    source = f'__asm__(".section {section},\\"\\"\\n.byte {junk}\\n.text"); int f(int x) {{ return x; }}'
    module = compile_text(source)
    assert list(exports(module)) == ["f"]


def linked(tmp_path: Path) -> tuple[bytes, Path]:
    """A module's file with all its debug information, as an ELF file to take prototypes from."""
    path = tmp_path / "m.tbx"
    source = (
        "struct s { struct s *n; int a[3]; }; int g(int); int f(struct s *p, char c) { return g(p->a[c]); }"
    )
    codec.write(compile_text(source, debug=True), path)
    return path.read_bytes(), path


def test_every_byte_of_the_debug_information_may_be_damaged(tmp_path: Path) -> None:
    good, _ = linked(tmp_path)
    elf = Elf(good, "m")
    assert set(prototypes(elf, {"f", "g"})) == {"f", "g"}
    for name in (".debug_info", ".debug_abbrev", ".debug_str_offsets"):
        content = elf.contents(name)
        start = good.index(content)
        for position in range(len(content)):
            for value in (0xFF, content[position] ^ 1):
                damaged = bytearray(good)
                damaged[start + position] = value
                assert set(prototypes(Elf(bytes(damaged), "m"), {"f", "g"})) <= {"f", "g"}


@pytest.mark.skipif(not shutil.which("readelf"), reason="readelf is not installed")
def test_functions_are_those_that_readelf_finds(tmp_path: Path) -> None:
    good, path = linked(tmp_path)
    done = subprocess.run(["readelf", "--debug-dump=info", path], capture_output=True, text=True, check=True)
    (unit,) = units(Elf(good, "m"))
    found = {entry.name for entry in unit.find(0x2E, frozenset({"f", "g", "absent"}))}
    assert found == {"f", "g"}
    assert done.stdout.count("DW_TAG_subprogram") == len(found)


@pytest.mark.skipif(not shutil.which("objdump"), reason="objdump is not installed")
def test_lines_are_those_that_objdump_finds(tmp_path: Path) -> None:
    source = (
        "int g(int);\nint f(int x)\n{\n if (x > 3)\n  return g(x);\n while (x--)\n  g(x);\n return 2;\n}\n"
    )
    module = compile_text(source, debug=True)
    codec.write(module, tmp_path / "m.tbx")
    done = subprocess.run(
        ["objdump", "--dwarf=decodedline", tmp_path / "m.tbx"], capture_output=True, text=True, check=True
    )
    expected = {}
    for words in map(str.split, done.stdout.splitlines()):
        if len(words) >= 3 and words[0] == "source0.c" and words[1].isdigit():
            expected[int(words[2], 16)] = int(words[1])
    ours = dict(zip(module.lines.addresses.tolist(), module.lines.lines.tolist(), strict=True))
    assert len(ours) > 3
    assert all(expected[address] == line for address, line in ours.items() if line and address in expected)
    assert {line for line in ours.values() if line} == set(expected.values()) - {0}
