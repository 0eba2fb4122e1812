"""Linking: what becomes an export, an import, a claimed branch target, a place to relocate, a segment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.toolchain.compiling import compile_text, exports, imports
from tmebox import abi
from tmebox.errors import CompileError
from tmebox.modulefile import codec
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain.assemble import assemble
from tmebox.toolchain.build import CompileOptions, SourceText, compile_object
from tmebox.toolchain.compile import clang
from tmebox.toolchain.confine import ANYWHERE
from tmebox.toolchain.link import fact_claims, linked
from tmebox.toolchain.link.link import link
from tmebox.toolchain.link.linked import Elf
from tmebox.toolchain.sections import KEPT_CLAIM
from tmebox.verify import verify


def verified(module: ModuleFile) -> ModuleFile:
    """The module, after the verifier has accepted it."""
    verify(
        module.text,
        module.text_address,
        functions=module.functions.tolist(),
        labels=module.labels.tolist(),
        fact_places=module.fact_places,
        facts=module.facts,
        depth_places=module.depth_places,
        depths=module.depths,
        table_entries=module.table_entries,
        isolation=module.isolation,
    )
    return module


def address(module: ModuleFile, name: str) -> int:
    return next(symbol.address for symbol in module.symbols if symbol.name == name)


def word(module: ModuleFile, offset: int, size_bytes: int = 8) -> int:
    """An integer in the data image."""
    for segment in module.segments:
        if segment.offset <= offset < segment.offset + segment.size_bytes:
            start = offset - segment.offset
            return int.from_bytes(segment.data[start : start + size_bytes], "little")
    raise AssertionError(f"{offset:#x} is in no segment")


# -- exports ------------------------------------------------------------------------------------------
def test_every_function_that_is_not_static_is_exported_unless_something_says_otherwise() -> None:
    module = verified(
        compile_text("int f(void) { return 1; } static int h(void) { return 2; } int g(void) { return h(); }")
    )
    assert exports(module) == {"f": "int f(void)", "g": "int g(void)"}


def test_asking_for_exports_leaves_out_the_rest() -> None:
    module = compile_text("int f(void) { return 1; } int g(void) { return 2; }", exports=("g",))
    assert list(exports(module)) == ["g"]
    assert [symbol.name for symbol in module.symbols] == ["g"]  # f is garbage


def test_asking_for_an_export_that_nobody_defines_is_an_error() -> None:
    with pytest.raises(CompileError, match="cannot export nope: no such function"):
        compile_text("int f(void) { return 1; }", exports=("nope",))


def test_marking_a_function_leaves_out_the_rest() -> None:
    source = "#include <tmebox.h>\nTMEBOX_EXPORT int f(void) { return 1; } int g(void) { return 2; }"
    assert list(exports(compile_text(source))) == ["f"]


def test_export_name_exports_under_another_name() -> None:
    source = """
    #define AS(name) __attribute__((export_name(#name)))
    AS(first) static int f(int a) { return a; }
    AS(second) int g(void) { return 2; }
    int h(void) { return 3; }
    """
    module = verified(compile_text(source))
    assert exports(module) == {"first": "int f(int a)", "second": "int g(void)"}
    assert {export.address for export in module.exports} == {address(module, "f"), address(module, "g")}


def test_a_variable_called_export_name_is_no_attribute() -> None:
    assert "export_name" in exports(compile_text("int export_name(int x) { return x; }"))


def test_functions_of_archives_are_linked_but_not_exported(tmp_path: Path) -> None:
    options = CompileOptions(use_libc=False)
    compile_object(SourceText("int helper(int x) { return x + 1; }"), tmp_path / "helper.o", options)
    compile_object(
        SourceText("int helper(int); int f(int x) { return helper(x); }"), tmp_path / "f.o", options
    )
    archive = tmp_path / "libhelper.a"
    clang.run("ar", ["rcs", str(archive), str(tmp_path / "helper.o")], ANYWHERE)
    module = verified(link([tmp_path / "f.o"], [archive], options))
    assert (list(exports(module)), list(imports(module))) == (["f"], [])
    assert "helper" in {symbol.name for symbol in module.symbols}


def test_a_module_without_functions_is_an_error() -> None:
    with pytest.raises(CompileError, match="nothing to call"):
        compile_text("int x = 1;")


# -- imports ------------------------------------------------------------------------------------------
def test_an_undefined_function_becomes_an_import_with_a_stub() -> None:
    module = verified(compile_text("int b(int); int a(void); int f(int x) { return a() + b(x); }"))
    assert imports(module) == {"a": "int a(void)", "b": "int b(int)"}
    stub = address(module, "b") - module.text_address
    jump_target = abi.GATE_HOSTCALL - (module.text_address + stub + 11)
    assert module.text[stub : stub + 11] == b"\x41\xbb\1\0\0\0\xe9" + jump_target.to_bytes(4, "little")
    assert stub + 7 in module.relocations.text_pc32.tolist()


def test_a_function_whose_address_alone_is_taken_is_an_import_too() -> None:
    module = verified(compile_text("int cb(int); int (*p)(int); void f(void) { p = cb; }"))
    assert list(imports(module)) == ["cb"]
    assert address(module, "cb") in module.functions.tolist()


@pytest.mark.parametrize("level", ["-O0", "-O2"])
@pytest.mark.parametrize(
    "use", ["return v;", "return table[x];", "v = x; return 0;", "return table[3] + *(table + x);"]
)
def test_an_undefined_variable_is_an_error_that_says_so(level: str, use: str) -> None:
    with pytest.raises(
        CompileError, match=r"undefined variable: (v|table) \(only functions can be imported\)"
    ):
        compile_text(f"extern int v, table[]; int f(int x) {{ {use} }}", optimize=level)


def test_a_weak_function_that_nobody_defines_is_null_and_calling_it_stops() -> None:
    source = "__attribute__((weak)) int g(int); int f(int x) { return g ? g(x) + 1 : 3; }"
    module = verified(compile_text(source))
    assert imports(module) == {}
    assert module.text[-1] == 0xF4


def test_imports_are_numbered_in_the_order_of_their_names() -> None:
    calls = "".join(f"int f{i:03}(void); " for i in range(40)) + "int f(void) { return "
    module = verified(compile_text(calls + "+".join(f"f{i:03}()" for i in reversed(range(40))) + "; }"))
    assert [item.name for item in module.imports] == sorted(f"f{i:03}" for i in range(40))


# -- relocations and claims ----------------------------------------------------------------------------
def test_a_table_of_functions_is_relocated_and_claimed() -> None:
    module = verified(
        compile_text(
            "static int a(int x) { return x; } static int b(int x) { return -x; }"
            "int (*const table[])(int) = { a, b, 0 }; int f(int i) { return table[i & 1](i); }"
        )
    )
    places = module.relocations.data_abs64.tolist()
    assert [word(module, place) for place in places] == [address(module, "a"), address(module, "b")]
    assert {address(module, "a"), address(module, "b"), address(module, "f")} == set(
        module.functions.tolist()
    )
    assert not module.segments[0].writable


SWITCH = "int f(int x, int y) {{ switch (y) {{ {} }} return 0; }}".format(
    " ".join(f"case {i}: return x * {i * i + 3};" for i in range(12))
)


def test_a_jump_table_is_behind_the_code_and_claims_nothing() -> None:
    module = verified(compile_text(SWITCH))
    assert module.table_entries == 16
    assert module.relocations.data_abs64.tolist() == [] == module.labels.tolist()
    assert module.segments == ()
    table = np.frombuffer(module.text[module.code_bytes :], np.uint64)
    assert len(set(table.tolist())) == 12 + 1  # and a trap, for indexes outside
    places = module.relocations.text_abs64
    assert places.tolist() == list(range(module.code_bytes, len(module.text), 8))


def test_labels_in_a_table_that_is_also_read_are_claimed() -> None:
    module = verified(
        compile_text(
            "int f(int i, void **out) { static void *const t[] = { &&a, &&b }; *out = t[i ^ 1];"
            " goto *t[i]; a: return i; b: return 0; }"
        )
    )
    targets = {word(module, place) for place in module.relocations.data_abs64.tolist()}
    assert set(module.labels.tolist()) == targets
    assert len(targets) == 2
    assert not targets & set(module.functions.tolist())


def test_the_address_of_a_function_plus_a_constant_is_relocated_but_not_claimed() -> None:
    module = verified(
        compile_text("int f(void) { return 1; } char *p = (char *)f + 1;char *q(void) { return p; }")
    )
    (place,) = module.relocations.data_abs64.tolist()
    assert word(module, place) == address(module, "f") + 1
    assert len(module.labels) == 0


def test_linking_text_elsewhere_gives_what_the_relocations_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = SourceText(
        """
        int host(int); extern int hosted(const char *);
        static int a(int x) { return x; } static int b(int x) { return hosted("b") - x; }
        int (*table[])(int) = { a, b, host }; static int counter; const char *names[] = { "x", "y" };
        int f(int i) { counter += i; return table[i](counter) + names[i & 1][0]; }
        int (*g(void))(int) { return a; }
        int h(int x) { switch (x) { case 0: return 5; case 1: return host(x); case 2: return x * 7;
                                    case 3: return x / 3; case 4: return x ^ 9; } return 1; }
        """
    )
    options = CompileOptions(use_libc=False)
    compile_object(source, tmp_path / "a.o", options)
    here = link([tmp_path / "a.o"], [], options)
    slide = 0x123_0000
    monkeypatch.setattr(abi, "TEXT_NOMINAL", abi.TEXT_NOMINAL + slide)
    there = link([tmp_path / "a.o"], [], options)
    text = np.frombuffer(here.text, np.uint8).copy()
    moves = here.relocations
    for places, sign, width in ((moves.text_abs32, 1, 4), (moves.text_abs64, 1, 8), (moves.text_pc32, -1, 4)):
        for place in places.tolist():
            field = text[place : place + width].view(f"<u{width}")
            field += np.array(sign * slide).astype(field.dtype)
    assert text.tobytes() == there.text
    for before, after in zip(here.segments, there.segments, strict=True):
        data = bytearray(before.data)
        for places, width in ((moves.data_abs32, 4), (moves.data_abs64, 8)):
            for offset in places.tolist():
                if before.offset <= offset < before.offset + len(data):
                    where = slice(offset - before.offset, offset - before.offset + width)
                    data[where] = (int.from_bytes(data[where], "little") + slide).to_bytes(width, "little")
        assert bytes(data) == after.data
    assert (there.functions - slide).tolist() == here.functions.tolist()
    assert (there.labels - slide).tolist() == here.labels.tolist()
    assert len(moves.text_pc32) > 0 and len(moves.data_abs64) > 0 and len(moves.text_abs32) > 0


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (".long f - .", "data relative to code"),
        (".quad f - .", "data relative to code"),
        (".long f@SIZE", "a kind of relocation"),
        (".short f", "out of range"),
    ],
)
def test_a_field_that_cannot_move_is_refused(field: str, reason: str, tmp_path: Path) -> None:
    """Whatever made the object: this one has not been through the rewriter."""
    text = f".globl f\n.type f,@function\nf: movl t, %eax\nret\n.section .rodata\nt: {field}\n"
    assemble(text, tmp_path / "a.o", file="a.s")
    with pytest.raises(CompileError, match=reason):
        link([tmp_path / "a.o"], [], CompileOptions(use_libc=False))


def test_indirect_functions_are_refused() -> None:
    source = (
        'static void *pick(void) { return 0; } int g(int) __attribute__((ifunc("pick")));'
        "int f(int x) { return g(x); }"
    )
    with pytest.raises(CompileError, match="ifunc"):
        compile_text(source)


# -- the data image ------------------------------------------------------------------------------------
def test_the_data_image_starts_where_the_window_has_room_for_it() -> None:
    module = compile_text(
        'const char *f(void) { return "text"; } int data = 7, zeros[5000];'
        "int *g(int i) { return i ? &data : zeros; }"
    )
    constant, variable = module.segments
    assert (constant.offset, constant.writable) == (abi.IMAGE_START, False)
    assert constant.data.rstrip(b"\0") == b"text"
    assert variable.offset % abi.PAGE_SIZE == 0
    assert variable.size_bytes >= 20_004 > len(variable.data)
    assert word(module, variable.offset, 4) == 7


def test_sections_of_the_program_s_own_keep_their_start_and_end_symbols() -> None:
    source = """
    #define IN(name) __attribute__((section(name), used)) static
    IN("hooks") const int a = 1; IN("hooks") const int b = 2; IN("state") int c = 3; int d = 4;
    extern const int __start_hooks[], __stop_hooks[]; extern int __start_state[], __stop_state[];
    long f(void) { d++; return (__stop_hooks - __start_hooks) * 10 + (__stop_state - __start_state); }
    """
    module = verified(compile_text(source))
    assert imports(module) == {}
    assert [segment.writable for segment in module.segments] == [False, True]
    assert sum(segment.data.count(b"\2\0\0\0") for segment in module.segments if not segment.writable) == 1


def test_thread_local_variables_of_the_first_thread_are_ordinary_data() -> None:
    module = verified(compile_text("_Thread_local int x = 5, z; int f(void) { return x++ + z; }"))
    assert [word(module, segment.offset, 4) for segment in module.segments] == [5]


def test_more_data_than_the_window_holds_is_an_error() -> None:
    with pytest.raises(CompileError):
        compile_text("char big[0x7f000000]; char *f(void) { return big; }")


def test_code_in_a_section_of_its_own_is_part_of_the_text() -> None:
    source = """
    __attribute__((section("mine"))) int f(void) { return 1; }
    extern const char __start_mine[], __stop_mine[];
    int g(void) { return __stop_mine - __start_mine; }
    """
    module = verified(compile_text(source))
    places = {export.name: export.address for export in module.exports}
    assert module.text_address <= places["f"] < module.text_address + len(module.text)


# -- hostile inputs ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("script.o", b"INPUT(/etc/passwd)\n"),
        ("bitcode.o", b"BC\xc0\xde" + bytes(64)),
        ("short.o", b"\x7fELF"),
        ("arm.o", b"\x7fELF\2\1\1" + bytes(9) + b"\1\0\xb7\0" + bytes(44)),
        ("shared.o", b"\x7fELF\2\1\1" + bytes(9) + b"\3\0\x3e\0" + bytes(44)),
        ("script.a", b"GROUP(/etc/passwd)\n"),
        ("thin.a", b"!<thin>\n"),
        ("damaged.a", b"!<arch>\n" + b"x" * 60),
        ("endless.a", b"!<arch>\n" + b"a.o/".ljust(48) + b"9999999999`\n"),
        ("other.a", b"!<arch>\n" + b"a.txt/".ljust(48) + b"4         `\nabcd"),
    ],
)
def test_only_objects_and_archives_of_objects_reach_the_linker(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CompileError, match=name):
        if path.suffix == ".a":
            compile_object(
                SourceText("int f(void) { return 1; }"), tmp_path / "f.o", CompileOptions(use_libc=False)
            )
            link([tmp_path / "f.o"], [path])
        else:
            link([path], [])


def test_damaged_objects_raise_compile_errors_only(tmp_path: Path) -> None:
    compile_object(
        SourceText("int f(int x) { return x + 1; }"), tmp_path / "a.o", CompileOptions(use_libc=False)
    )
    good = (tmp_path / "a.o").read_bytes()
    refused = 0
    for position in range(40, len(good), max(1, len(good) // 60)):
        damaged = bytearray(good)
        damaged[position : position + 8] = b"\xff" * 8
        (tmp_path / "b.o").write_bytes(damaged)
        try:
            link([tmp_path / "b.o"], [], CompileOptions(use_libc=False))
        except CompileError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("name", ['x\\"y', "x\\ny", "x y", 'x\\n.incbin \\"/etc/passwd\\"\\n'])
def test_symbol_names_cannot_smuggle_anything_into_scripts_or_stubs(name: str) -> None:
    with pytest.raises(CompileError):
        compile_text(f'int g(void) __asm__("{name}"); int f(void) {{ return g(); }}')
    with pytest.raises(CompileError):
        compile_text(f'int f(void) __asm__("{name}"); int f(void) {{ return 1; }}')


# -- the written file, seen by others ------------------------------------------------------------------
def test_symbols_and_lines_agree_with_the_source(tmp_path: Path) -> None:
    module = compile_text("int f(int x)\n{\n  return x / 3;\n}\n\nint g(int x)\n{\n  return x * 3;\n}\n")
    at = np.searchsorted(module.lines.addresses, address(module, "g"), side="right") - 1
    assert module.lines.files[module.lines.file_indices[at]] == "source0.c"
    assert module.lines.lines[at] in (7, 8)
    sizes = {symbol.name: symbol.size_bytes for symbol in module.symbols}
    assert sizes["f"] > 10 and sizes["g"] > 3


def test_call_frame_information_survives_with_the_right_addresses(tmp_path: Path) -> None:
    module = compile_text("int g(int); int f(int x) { return g(x) + 1; }")
    codec.write(module, tmp_path / "m.tbx")
    done = subprocess.run(
        ["readelf", "--debug-dump=frames", tmp_path / "m.tbx"], capture_output=True, text=True, check=True
    )
    assert f"pc={address(module, 'f'):016x}" in done.stdout


def test_debug_information_is_kept_only_if_asked_for() -> None:
    source = "int f(int x) { return x; }"
    assert compile_text(source).debug_sections == ()
    kept = dict(compile_text(source, debug=True).debug_sections)
    assert {".debug_info", ".debug_line", ".debug_abbrev"} <= kept.keys()


def test_a_local_symbol_named_like_the_linker_script_s_changes_nothing(tmp_path: Path) -> None:
    labels = "__tmebox_tables: __tmebox_constructors_start: nop"
    source = SourceText(f'{SWITCH} int h(void) {{ __asm__("{labels}"); return 1; }}', "a.c")
    options = CompileOptions(use_libc=False)
    compile_object(source, tmp_path / "a.o", options)
    module = verified(link([tmp_path / "a.o"], [], options))
    assert module.table_entries == 16


def test_a_function_that_two_objects_have_has_one_claim_of_its_depth() -> None:
    rows = [
        (0x1000, 0),
        (0x1000, KEPT_CLAIM),
        (0x1010, 8),
        (0x1020, 8),
        (0x1030, KEPT_CLAIM),
        (0x1040, 0),
        (7, 9),
    ]
    data = b"".join(number.to_bytes(8, "little") for row in rows for number in row)
    places, depths = fact_claims.collected_depths(data, 0x1000, 0x2000)
    assert list(zip(places.tolist(), depths.tolist(), strict=True)) == [(0x1000, 0), (0x1010, 8), (0x1030, 0)]


@pytest.mark.parametrize(("place", "value"), [(60, 0), (62, 0xFFFF)], ids=["sections", "their names"])
def test_an_object_with_more_sections_than_its_header_can_count_is_refused(
    place: int, value: int, tmp_path: Path
) -> None:
    path = tmp_path / "a.o"
    compile_object(SourceText("int f(void) { return 1; }"), path)
    data = bytearray(path.read_bytes())
    data[place : place + 2] = value.to_bytes(2, "little")
    with pytest.raises(CompileError, match="more than 65,280 sections"):
        Elf(bytes(data), "a.o")


def test_the_names_of_a_file_are_bounded_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.o"
    compile_object(SourceText(f"int {'f' * 1000}(void) {{ return 1; }}"), path)
    monkeypatch.setattr(linked, "MAX_NAMES_BYTES", 20_000)
    elf = Elf(path.read_bytes(), "a.o")
    with pytest.raises(CompileError, match="its names are too long"):
        for _ in range(30):
            for index in range(len(elf.symbols)):
                elf.symbol_name(index)
