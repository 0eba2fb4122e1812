"""What is wrong with a source in C++ is told where its author looks, in the author's words."""

from __future__ import annotations

import pytest

import tmebox
from tmebox.errors import CompileError


def error_of(text: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        tmebox.compile(source_text=text, language="c++", flags=("-std=c++20",))
    return caught.value


def test_source_text_is_cxx_if_you_say_so() -> None:
    text = """
    #include <string>
    extern "C" int f(int n) { try { throw std::to_string(n); } catch (std::string &s) { return s.size(); } }
    """
    assert tmebox.Sandbox(tmebox.compile(source_text=text, language="c++")).f(1234) == 4
    with pytest.raises(CompileError, match=r"source\.c:2:14: error: 'string' file not found"):
        tmebox.compile(source_text=text)
    assert tmebox.Sandbox(tmebox.compile(source_text="int class = 3; int f(void) { return class; }")).f() == 3


def test_a_language_is_one_of_two_and_goes_with_a_text() -> None:
    with pytest.raises(ValueError, match="language='C' is none of 'c', 'c\\+\\+'"):
        tmebox.compile(source_text="", language="C")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="language= goes with source_text="):
        tmebox.compile("x.c", language="c++")


def test_an_error_within_the_library_is_told_at_the_line_that_asked_for_it() -> None:
    error = error_of(
        "#include <algorithm>\n#include <vector>\nstruct P { int x; };\n"
        "int f() { std::vector<P> v(3); std::sort(v.begin(), v.end()); return v[0].x; }\n"
        "int g() { return missing; }\n"
    )
    first = error.diagnostics[0]
    assert (first.file, first.line, first.column) == ("source.cpp", 4, 37)
    assert first.message.startswith("invalid operands to binary expression ('const P' and 'const P') (in ")
    assert "std::sort" in first.message and first.message.endswith(", at <comp.h:40>)")
    assert "std::sort(v.begin(), v.end())" in first.excerpt
    assert [item.line for item in error.diagnostics] in ([4], [4, 5])  # clang stops at so many errors
    assert all("/" not in (item.file or "") for item in error.diagnostics)


def test_an_error_in_a_template_of_the_author_stays_there() -> None:
    error = error_of("template <class T> int size(T t) {\n  return t.size(); }\nint f() { return size(3); }")
    (only,) = error.diagnostics
    assert only.line == 2 and "member reference base type 'int'" in only.message
    assert any("in instantiation of" in note.message and note.line == 3 for note in only.notes)


def test_a_call_that_fits_nothing_says_why() -> None:
    error = error_of(
        "template <class T> concept Sized = requires(T t) { t.size(); };\n"
        "template <Sized T> int g(T t) { return t.size(); }\nint f() { return g(3); }"
    )
    assert "no matching function for call to 'g': candidate template ignored" in str(error)
    assert "'int' does not satisfy 'Sized'" in str(error)


def test_an_error_that_is_the_librarys_alone_is_told() -> None:
    error = error_of("#include <generator_that_is_missing>\n")
    assert "source.cpp:1:10" in str(error)
    error = error_of("#define push_back 1 +\n#include <vector>\n")
    assert error.diagnostics and error.diagnostics[0].severity == "error"


def test_a_class_without_its_first_virtual_function_says_what_to_write() -> None:
    error = error_of("struct S { virtual int f(); int x = 1; };\nS *g() { return new S; }")
    assert "vtable for S (define the class's first virtual function" in str(error)
