"""libc++ in sandboxes: a program that uses much of it, and what a C++ program is made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tmebox
from tmebox.errors import CompileError
from tmebox.toolchain.cc.driver import main_cc

PROGRAMS = Path(__file__).parent / "programs"


def test_a_program_that_uses_much_of_the_library() -> None:
    module = tmebox.compile(PROGRAMS / "library.cpp", flags=("-std=c++20", "-w"))
    done = tmebox.Sandbox(module).run()
    assert done.exit_code == 0
    assert done.stdout.decode() == (PROGRAMS / "library.txt").read_text()


def text_of(source: str, *flags: str) -> str:
    """What a program prints."""
    return tmebox.Sandbox(compiled(source, *flags)).run().stdout.decode()


def compiled(source: str, *flags: str, name: str = "program.cpp", **options: object) -> tmebox.Module:
    path = Path(name)
    path.write_text(source)
    return tmebox.compile(path, flags=flags, **options)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_constructors_and_destructors_run_in_order() -> None:
    source = """
    #include <cstdio>
    struct Loud {
        const char *name;
        Loud(const char *n) : name(n) { puts(n); }
        ~Loud() { printf("~%s\\n", name); }
    };
    Loud first("first"); __attribute__((init_priority(200))) Loud early("early"); Loud second("second");
    Loud &lazy() { static Loud it("lazy"); return it; }
    int main() { lazy(); lazy(); thread_local Loud t("thread"); }
    """
    assert text_of(source).split() == [
        "early", "first", "second", "lazy", "thread", "~thread", "~lazy", "~second", "~first", "~early",
    ]  # fmt: skip


def test_functions_and_variables_of_several_objects_are_one() -> None:
    header = "#include <string>\ninline int counter = 5; template <class T> T twice(T x) { return x + x; }\n"
    one = header + "int main(); int more(int); int main() { counter++; return more(twice(counter)) != 25; }"
    two = (
        header
        + 'int more(int x) { return x + counter + twice(3) + (int)twice(std::string("x")).size() - 1; }'
    )
    for name, text in (("one.cpp", one), ("two.cpp", two)):
        Path(name).write_text(text)
    assert tmebox.Sandbox(tmebox.compile(["one.cpp", "two.cpp"])).run().exit_code == 0


def test_a_table_jump_in_a_function_of_several_objects_is_linked_once() -> None:
    cases = "\n".join(f"case {i}: return f{i % 7}(x);" for i in range(40))
    header = "".join(f"int f{i}(int);" for i in range(7))
    header += "template <class T> __attribute__((noinline)) int pick(T k, int x) "
    header += f"{{ switch (k) {{ {cases} }} return 0; }}"
    definitions = "".join(f"int f{i}(int x) {{ return x + {i}; }}" for i in range(7))
    Path("one.cpp").write_text(
        header + definitions + "int other(int); int f(int k) { return pick(k, 1) + other(k); }"
    )
    Path("two.cpp").write_text(header + "int other(int k) { return pick(k, 10); }")
    sandbox = tmebox.Sandbox(tmebox.compile(["one.cpp", "two.cpp"]))
    assert [sandbox.exports["_Z1fi"](k) for k in (0, 13, 39, 40)] == [11, 11 + 12, 11 + 8, 0]


def test_thread_local_objects_of_other_files_are_initialized_where_they_are_used() -> None:
    Path("one.cpp").write_text(
        "struct S { int v; S(int x); }; extern thread_local S far; extern thread_local int plain;"
        "int main() { plain += 2; return far.v + plain; }"
    )
    Path("two.cpp").write_text(
        "struct S { int v; S(int x); }; S::S(int x) : v(x) {}"
        "thread_local S far(5); thread_local int plain = 30;"
    )
    assert tmebox.Sandbox(tmebox.compile(["one.cpp", "two.cpp"])).run().exit_code == 37


def test_c_and_cxx_call_each_other_and_exceptions_pass_through_c() -> None:
    Path("middle.c").write_text("int middle(int (*f)(int), int x) { return f(x) + 1; }")
    Path("outer.cpp").write_text(
        'extern "C" int middle(int (*)(int), int);'
        "static int thrower(int x) { if (x > 3) throw x; return x; }"
        'extern "C" int outer(int x) { try { return middle(thrower, x); } catch (int i) { return -i; } }'
    )
    sandbox = tmebox.Sandbox(tmebox.compile(["middle.c", "outer.cpp"], flags=("-fexceptions",)))
    assert [sandbox.outer(3), sandbox.outer(9)] == [4, -9]


def test_an_exception_ends_at_c_without_tables() -> None:
    Path("middle.c").write_text("int middle(int (*f)(int), int x) { return f(x) + 1; }")
    Path("outer.cpp").write_text(
        'extern "C" int middle(int (*)(int), int); static int thrower(int x) { throw x; }'
        'extern "C" int outer(int x) { try { return middle(thrower, x); } catch (int i) { return -i; } }'
    )
    sandbox = tmebox.Sandbox(tmebox.compile(["middle.c", "outer.cpp"]), stderr=lambda data: None)
    with pytest.raises(tmebox.Aborted, match="uncaught exception of type int"):
        sandbox.outer(9)


def test_without_exceptions_and_type_information() -> None:
    source = '#include <vector>\nextern "C" int f(int n) { std::vector<int> v(n, 2); return v[n / 2] * n; }'
    sandbox = tmebox.Sandbox(compiled(source, "-fno-exceptions", "-fno-rtti"))
    assert sandbox.f(10) == 20


def test_a_failed_check_of_the_library_is_a_trap() -> None:
    source = '#include <vector>\nextern "C" int f(int n) { std::vector<int> v(3); return v[n]; }'
    sandbox = tmebox.Sandbox(compiled(source))
    with pytest.raises(tmebox.IllegalInstruction):
        sandbox.f(3)


# -- functions for the host --------------------------------------------------------------------------------
EXPORTED = """
#include <cstddef>
#include <string>
struct Point { int x; float y; };
struct Copied { Copied(const Copied &); int z; };
struct Derived : Point { int w; };
enum class Color : unsigned char { red, green };
namespace a::b { float scale(float x, float by) { return x * by; }
                 int sum(const int *v, size_t n) { int s = 0; while (n--) s += v[n]; return s; } }
Point make(int x) { return {x, 0.5f}; }
int copied(Copied c) { return c.z; }
int derived(Derived d) { return d.w; }
int color(Color c) { return (int)c; }
void bump(int &x) { x++; }
struct C { int v; C(int); int get() const; static int twice(int); };
C::C(int v) : v(v) {} int C::get() const { return v; } int C::twice(int x) { return 2 * x; }
inline int inlined(int x) { return x; }
template <class T> T instance(T x) { return x; }
template int instance<int>(int);
int over(int x) { return inlined(x); } int over(double x) { return (int)x * 100; }
extern "C" int plain(const char *text) { return (int)std::string(text).size(); }
"""


def test_functions_are_called_by_mangled_names_with_types_of_cxx() -> None:
    module = compiled(EXPORTED)
    assert set(module.exports) == {
        "_ZN1a1b5scaleEff", "_ZN1a1b3sumEPKim", "_Z4makei", "_Z6copied6Copied", "_Z7derived7Derived",
        "_Z5color5Color", "_Z4bumpRi", "_ZN1CC1Ei", "_ZN1CC2Ei", "_ZNK1C3getEv", "_ZN1C5twiceEi", "_Z4overi",
        "_Z4overd", "plain",
    }  # fmt: skip
    call = tmebox.Sandbox(module).exports
    assert call["_ZN1a1b5scaleEff"](1.5, 2) == 3.0
    assert call["_ZN1a1b3sumEPKim"](np.arange(5, dtype=np.int32), 5) == 10
    assert (call["_Z4makei"](3).x, call["_Z4makei"](3).y) == (3, 0.5)
    number = np.array([4], dtype=np.int32)
    call["_Z4bumpRi"](number)
    assert number[0] == 5
    assert (call["_Z4overi"](7), call["_Z4overd"](7.9), call["_ZN1C5twiceEi"](4)) == (7, 700, 8)
    assert call["_Z5color5Color"](1) == 1
    assert call["plain"]("four") == 4


def test_python_functions_are_function_pointers() -> None:
    source = """
    using Step = int (*)(int);
    namespace ns { int twice(Step step, int n) { return step(step(n)); } }
    extern "C" int none(int (*give)()) { return give() + 1; }
    extern "C" Step chosen(int n) { return n ? +[](int x) { return x + 1; } : +[](int x) { return x * 5; }; }
    """
    call = tmebox.Sandbox(compiled(source)).exports
    assert call["_ZN2ns5twiceEPFiiEi"](lambda n: n * 3, 2) == 18
    assert call["none"](lambda: 6) == 7
    assert [call["chosen"](n)(7) for n in (0, 1)] == [35, 8]


def test_messages_name_functions_as_people_do() -> None:
    module = compiled(EXPORTED)
    assert str(module.exports["_ZN1a1b5scaleEff"]) == "float a::b::scale(float x, float by)"
    call = tmebox.Sandbox(module).exports
    with pytest.raises(TypeError, match=r"copied\(\) cannot .* its own way to be copied"):
        call["_Z6copied6Copied"](1)
    with pytest.raises(TypeError, match=r"derived\(\) cannot .* base class"):
        call["_Z7derived7Derived"](1)
    with pytest.raises(TypeError, match=r"^a::b::scale\(\) takes 2 arguments"):
        call["_ZN1a1b5scaleEff"](1)


def test_backtraces_name_functions_as_people_do() -> None:
    source = """
    namespace inner {
        struct S { int v; __attribute__((noinline)) int read(const int *p) { return *p + v; } };
    }
    extern "C" int f(long place) { return inner::S{1}.read((int *)place) + 1; }
    """
    with pytest.raises(tmebox.MemoryFault, match=r"inner::S::read\(int const\*\)") as caught:
        tmebox.Sandbox(compiled(source)).f(64)
    assert [str(frame).partition(" (")[0] for frame in caught.value.backtrace][-1] == "f"


def test_undefined_functions_are_named_as_people_do(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.cc").write_text("namespace ns { int missing(int); }\nint main() { return ns::missing(1); }")
    assert main_cc(["a.cc", "-o", "a"], is_cxx=True) == 1
    assert "undefined symbol: ns::missing(int)" in capsys.readouterr().err


def test_the_driver_takes_c_for_cxx_as_its_kind_does(capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.c").write_text("#include <cstdio>\nint main() { auto text = [] { return 0; }; return text(); }")
    assert main_cc(["-O2", "-std=c++17", "a.c", "-o", "a", "-lstdc++", "-lm"], is_cxx=True) == 0
    assert tmebox.Sandbox(tmebox.Module.load("a")).run().exit_code == 0
    assert main_cc(["a.c", "-o", "b"]) == 1
    assert "cstdio" in capsys.readouterr().err


def test_cxx_needs_the_base_in_gs() -> None:
    with pytest.raises(CompileError, match="C\\+\\+ needs the base in gs"):
        compiled("int f() { return 1; }", base="r15")


def test_threads_and_what_synchronises_them() -> None:
    module = tmebox.compile(PROGRAMS / "threads.cpp", flags=("-std=c++20",))
    done = tmebox.Sandbox(module, timeout=60.0).run()
    assert (done.exit_code, done.stderr.decode(), done.stdout) == (0, "", b"done\n")
