"""A failed assertion is an exception that names what failed, and where; whatever the sandbox says of it."""

from __future__ import annotations

import pickle

import pytest

import tmebox

SOURCE = """
#include <assert.h>
#include <signal.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static jmp_buf back;
static void recover(int number) { longjmp(back, number); }
static char text[10000];

int half(int number)
{
    assert(number % 2 == 0 && "it is even");
    return number / 2;
}
void plain(void) { abort(); }
void later(void)
{
    signal(SIGABRT, recover);
    if (!setjmp(back))
        half(3);
    getuid();
    signal(SIGABRT, SIG_DFL);
    abort();
}
void terminated(void)
{
    signal(SIGABRT, recover);
    if (!setjmp(back))
        half(3);
    raise(SIGTERM);
}
void lie(const char *expression, int line)
{
    __assert_fail(expression, expression, line, expression);
}
void lie_at(unsigned long expression, unsigned long file, unsigned long function)
{
    long arguments[6] = {(long)expression, (long)file, -1, (long)function};
    long __tmebox_syscall(long, const long *);
    __tmebox_syscall(ASSERTION, arguments);
    abort();
}
unsigned long filled(int letter, int length)
{
    memset(text, letter, length);
    return (unsigned long)text;
}
int main(void) { half(7); }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    from tmebox import abi

    return tmebox.compile(source_text=SOURCE, defines={"ASSERTION": abi.SYS_ASSERTION_FAILED}, flags=("-w",))


def test_it_names_expression_function_file_and_line(
    module: tmebox.Module, capfd: pytest.CaptureFixture[str]
) -> None:
    line = SOURCE[: SOURCE.index("assert(number")].count("\n") + 1
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.half(8) == 4
        with pytest.raises(tmebox.Aborted) as caught:
            sandbox.half(7)
        trap = caught.value
        expected = 'assertion failed: number % 2 == 0 && "it is even"'
        assert str(trap) == f"{expected} in half (source.c:{line})"
        assert (trap.function, trap.file, trap.line) == ("half", "source.c", line)
        with pytest.raises(tmebox.SandboxClosed) as closed:
            sandbox.half(8)
        assert str(closed.value.__cause__) == str(trap)
        sandbox.reset()
        assert sandbox.half(8) == 4
        with pytest.raises(tmebox.Aborted, match=r"^the program called abort\(\)$"):
            sandbox.plain()
    assert str(pickle.loads(pickle.dumps(trap))) == str(trap)


def test_a_program_says_it_on_stderr_too(module: tmebox.Module) -> None:
    said = bytearray()
    with tmebox.Sandbox(module) as sandbox, pytest.raises(tmebox.Aborted, match=r"even\" in half"):
        sandbox.run(stderr=said.extend)
    assert said.startswith(b"Assertion failed: number % 2 == 0")


@pytest.mark.parametrize("name", ["later", "terminated"])
def test_one_that_the_program_survived_is_forgotten(name: str, module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, stderr=lambda data: None) as sandbox:
        with pytest.raises(tmebox.Aborted) as caught:
            sandbox.call(name)
        assert str(caught.value) in ("the program called abort()", "the program raised signal 15")


@pytest.mark.parametrize(
    "text",
    [b"\x1b]0;title\x07", b"\xff\xfe\n\r\x00x", "\u202eevil\u2028".encode(), b"x" * 4000, b"", b"%s%n{0}"],
    ids=range(6),
)
def test_what_a_sandbox_claims_can_be_shown(text: bytes, module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, stderr=lambda data: None) as sandbox:
        with pytest.raises(tmebox.Aborted) as caught:
            sandbox.lie(text, -5)
        said = str(caught.value)
        assert said.isprintable()
        assert len(said) < 1200
        assert caught.value.line is not None and caught.value.line >= 0


@pytest.mark.parametrize("offset", [0, 16, 2**32 - 8, 2**64 - 1, 2**63])
def test_a_text_that_is_nowhere_is_a_question_mark(offset: int, module: tmebox.Module) -> None:
    expected = r"^assertion failed: \? in \? \(\?:2147483647\)$"
    with tmebox.Sandbox(module) as sandbox, pytest.raises(tmebox.Aborted, match=expected):
        sandbox.lie_at(offset, offset, offset)


def test_a_text_without_an_end_is_not_looked_for(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module) as sandbox:
        place = sandbox.filled(ord("x"), 10_000)
        with pytest.raises(tmebox.Aborted, match=r"^assertion failed: \? in "):
            sandbox.lie_at(place, place, place)
