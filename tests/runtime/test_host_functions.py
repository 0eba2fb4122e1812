"""Host functions: types from the prototype, exceptions, nesting, and what a hostile guest may pass."""

import functools
import gc
from typing import Any

import numpy as np
import pytest

import tmebox

IMPORTS_C = r"""
struct point { int x, y; };
extern int log_message(const char *text, int level);
extern double weigh(float a, double b, unsigned char c);
extern struct point mirror(struct point p);
extern void poke(void *where, unsigned long size);
extern long many(long a, long b, long c, long d, long e, long f, long g, long h);
int speak(int level) { return log_message("from inside", level) + 1; }
int speak_null(void) { return log_message(0, 0); }
int speak_wild(void) { return log_message((const char *)0xffff0000ul, 0); }
double scale(void) { return weigh(1.5f, 2.5, 255); }
int reflect(int x, int y) { struct point p = mirror((struct point){x, y}); return p.x * 1000 + p.y; }
int local[4];
int fill(void) { poke(local, sizeof local); return local[3]; }
long spread(void) { return many(1, 2, 3, 4, 5, 6, 7, 8); }
int recurse(int n) { return n ? log_message("down", n) + 1 : 0; }
"""


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=IMPORTS_C)


def functions(**given: Any) -> Any:
    unused = {name: (lambda *_: 0) for name in ("log_message", "weigh", "mirror", "poke", "many")}
    return unused | given


def test_arguments_arrive_by_the_c_prototype(module: tmebox.Module) -> None:
    seen = []

    def log_message(text: Any, level: Any) -> Any:
        seen.append((text, level))
        return len(text or "")

    imports = functions(
        log_message=log_message,
        weigh=lambda a, b, c: a + b + c,
        mirror=lambda p: (p.y, p.x),
        many=lambda *values: sum(i * v for i, v in enumerate(values, 1)),
    )
    with tmebox.Sandbox(module, imports=imports) as sandbox:
        assert sandbox.speak(-3) == 12
        assert sandbox.speak_null() == 0
        assert seen == [("from inside", -3), (None, 0)]
        assert sandbox.scale() == 259.0
        assert sandbox.reflect(7, 42) == 42007
        assert sandbox.spread() == 204


def test_pointers_are_offsets_and_memory_is_reached_through_the_sandbox(module: tmebox.Module) -> None:
    def poke(sandbox: tmebox.Sandbox, where: int, size: int) -> None:
        sandbox.memory.write(where, b"\x01" * size)

    with tmebox.Sandbox(module, imports=functions(poke=poke)) as sandbox:
        assert sandbox.fill() == 0x01010101


def test_a_wild_string_pointer_is_an_error_not_a_crash(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, imports=functions()) as sandbox, pytest.raises(tmebox.BadPointer):
        sandbox.speak_wild()


def test_annotations_choose_bytes_or_offsets(module: tmebox.Module) -> None:
    got = []

    def as_bytes(text: bytes, level: int) -> int:
        got.append(text)
        return 0

    def as_offset(text: int, level: int) -> int:
        got.append(text)  # type: ignore[arg-type]
        return 0

    for function in (as_bytes, as_offset):
        with tmebox.Sandbox(module, imports=functions(log_message=function)) as sandbox:
            sandbox.speak(1)
    assert got[0] == b"from inside"
    assert isinstance(got[1], int)


def test_an_exception_unwinds_and_the_sandbox_stays_usable(module: tmebox.Module) -> None:
    def log_message(text: Any, level: Any) -> Any:
        if level < 0:
            raise KeyError(level)
        return 1

    with tmebox.Sandbox(module, imports=functions(log_message=log_message)) as sandbox:
        for _ in range(1000):
            with pytest.raises(KeyError):
                sandbox.speak(-1)
        assert sandbox.speak(1) == 2


def test_results_of_the_wrong_type_or_size_raise_at_the_call(module: tmebox.Module) -> None:
    for wrong in ("text", 1 << 40, 1.5, None):
        with tmebox.Sandbox(module, imports=functions(log_message=lambda *_, r=wrong: r)) as sandbox:
            with pytest.raises((TypeError, OverflowError)):
                sandbox.speak(1)
            assert sandbox.spread() == 0


def test_a_wrong_result_is_told_by_function_and_type(module: tmebox.Module) -> None:
    for wrong, message in (
        ("text", r"result of the host function log_message\(\) \(int\): expected an integer, got str"),
        (1 << 40, r"result of the host function log_message\(\) \(int\): 1099511627776 does not fit int"),
    ):
        refused = pytest.raises((TypeError, OverflowError), match=message)
        imports = functions(log_message=lambda *_, r=wrong: r)
        with tmebox.Sandbox(module, imports=imports) as sandbox, refused:
            sandbox.speak(1)
    numbers = functions(log_message=lambda *_: np.int64(-4), weigh=lambda *_: np.float32(1.5))
    with tmebox.Sandbox(module, imports=numbers) as sandbox:
        assert sandbox.speak(1) == -3
        assert sandbox.scale() == 1.5


def test_an_import_that_is_only_passed_on_has_its_prototype() -> None:
    source = """
    #include <stdlib.h>
    int compare(const void *a, const void *b);
    int (*const table[])(const void *, const void *) = {compare};
    void sort(int *v, int n) { qsort(v, n, sizeof *v, table[0]); }
    """
    module = tmebox.compile(source_text=source)
    assert str(module.imports["compare"]) == "int compare(const void *, const void *)"

    def compare(sandbox: tmebox.Sandbox, a: int, b: int) -> int:
        one, other = (int.from_bytes(sandbox.memory.read(at, 4), "little", signed=True) for at in (a, b))
        return one - other

    with tmebox.Sandbox(module, imports={"compare": compare}) as sandbox:
        values = np.array([3, -1, 2], np.int32)
        sandbox.sort(values, 3)
    assert values.tolist() == [-1, 2, 3]


def test_host_functions_may_call_back_into_the_sandbox(module: tmebox.Module) -> None:
    sandbox = tmebox.Sandbox(module, imports=functions(log_message=lambda text, n: sandbox.recurse(n - 1)))  # type: ignore[has-type]
    with sandbox:
        assert sandbox.recurse(50) == 50


def test_host_functions_may_use_another_sandbox(module: tmebox.Module) -> None:
    with tmebox.Sandbox(module, imports=functions(log_message=lambda *_: 41)) as inner:
        outer = tmebox.Sandbox(module, imports=functions(log_message=lambda text, n: inner.speak(n)))
        with outer:
            assert outer.speak(0) == 43


def test_a_missing_import_is_named_with_its_prototype(module: tmebox.Module) -> None:
    with pytest.raises(tmebox.ModuleError, match=r"int log_message\(const char \*"):
        tmebox.Sandbox(module)


def test_registered_host_functions_are_found_by_name() -> None:
    @tmebox.host_function(name="answer_of_the_test")
    def answer() -> int:
        return 42

    module = tmebox.compile(
        source_text="extern int answer_of_the_test(void); int ask(void) { return answer_of_the_test(); }"
    )
    with tmebox.Sandbox(module) as sandbox:
        assert sandbox.ask() == 42


def test_imports_can_be_a_list_of_functions() -> None:
    def seven() -> int:
        return 7

    module = tmebox.compile(source_text="extern int seven(void); int ask(void) { return seven(); }")
    with tmebox.Sandbox(module, imports=[seven]) as sandbox:
        assert sandbox.ask() == 7
    gc.collect()


def test_something_that_is_not_callable_is_refused(module: tmebox.Module) -> None:
    with pytest.raises(TypeError, match="not callable"):
        tmebox.Sandbox(module, imports={"log_message": 3})  # type: ignore[dict-item]


class Recorder(list[int]):
    """Can be called, and is false as long as it is empty."""

    def __call__(self, x: int) -> int:
        self.append(x)
        return 5


NOTES_C = """
extern int note_of_the_test(int x);
extern void tell(int x);
int calls(int x) { return note_of_the_test(x); }
void tells(int x) { tell(x); }
"""


@pytest.fixture(scope="module")
def notes() -> tmebox.Module:
    return tmebox.compile(source_text=NOTES_C)


def test_what_was_given_is_called_also_if_it_is_false(notes: tmebox.Module) -> None:
    @tmebox.host_function(name="note_of_the_test")
    def registered(x: int) -> int:
        return 1000

    recorder = Recorder()
    with tmebox.Sandbox(notes, imports={"note_of_the_test": recorder, "tell": len}) as sandbox:
        assert sandbox.calls(2) == 5
    assert recorder == [2]


async def later(x: int) -> int:
    return x


def generator(x: int) -> Any:
    yield x


async def async_generator(x: int) -> Any:
    yield x


class Called:
    async def __call__(self, x: int) -> int:
        return x


class Methods:
    async def method(self, x: int) -> int:
        return x


class Calls:
    __call__ = functools.partial(generator)


@pytest.mark.parametrize("name", ["tell", "note_of_the_test"])
@pytest.mark.parametrize(
    "function",
    [
        later,
        generator,
        async_generator,
        Called(),
        Calls(),
        Methods().method,
        functools.partial(later),
        functools.partial(functools.partial(Called()), 1),
    ],
)
def test_functions_whose_call_runs_nothing_are_refused(
    notes: tmebox.Module, name: str, function: Any
) -> None:
    given = {"tell": abs, "note_of_the_test": abs, name: function}
    with pytest.raises(TypeError, match=rf"function {name}\(\) is (an async function|a generator)"):
        tmebox.Sandbox(notes, imports=given)
    with tmebox.Sandbox(notes, imports=given | {name: abs}) as sandbox:
        assert (sandbox.tells(1), sandbox.calls(-2)) == (None, 2)
