"""Functions that go by pointer, both ways, and objects that sandboxed code holds and cannot look into."""

from __future__ import annotations

import gc
import struct
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import tmebox
from tmebox import abi
from tmebox.runtime import trampolines

SOURCE = r"""
#include <stdlib.h>
typedef int (*op)(int a, int b);
typedef void (*sayer)(void *user, const char *text);
struct big { long v[5]; };
static op kept_op; static sayer kept; static void *kept_user;
int add(int a, int b) { return a + b; }
static int times(int a, int b) { return a * b; }
long wrong(long a) { return a; }
int apply(op f, int a, int b) { return f(a, b); }
op pick(int which) { return which == 0 ? add : which == 1 ? times : which == 2 ? (op)0 : (op)(long)which; }
op same(op f) { return f; }
void sort(int *v, int n, int (*compar)(const void *, const void *)) { qsort(v, n, sizeof *v, compar); }
void keep_op(op f) { kept_op = f; }
int call_kept(int a, int b) { return kept_op(a, b); }
void keep(sayer s, void *user) { kept = s; kept_user = user; }
void say(const char *text) { kept(kept_user, text); }
void say_with(unsigned long word) { kept((void *)word, "x"); }
void say_at(unsigned long place) { kept(0, (const char *)place); }
unsigned long user_word(void) { return (unsigned long)kept_user; }
int is_transient(void (*f)(void *)) { return f == (void (*)(void *))-1; }
struct big grow(struct big (*f)(struct big, double), struct big b) { return f(b, 2.5); }
double mix(double (*f)(double, float, signed char, unsigned long)) { return f(1.5, 2.5f, -3, 1ul << 63); }
long many(long (*f)(long, long, long, long, long, long, long, long)) { return f(1, 2, 3, 4, 5, 6, 7, 8); }
int spin(op f) { for (;;) f(1, 2); }
int steps(op f, int n) { int done = 0; for (int i = 0; i < n; i++) done += f(i, 0); return done; }
static char text_at_the_end[4096] __attribute__((aligned(4096)));
void say_end(int size) { for (int i = 0; i < 4096; i++) text_at_the_end[i] = 'e';
    text_at_the_end[size] = 0; kept(0, text_at_the_end + 4000); }
"""


@pytest.fixture(scope="module", params=["gs", "r15"])
def module(request: pytest.FixtureRequest) -> tmebox.Module:
    try:
        return tmebox.compile(source_text=SOURCE, base=request.param)
    except tmebox.CompileError as error:
        pytest.skip(f"needs gcc: {error}")


@pytest.fixture
def box(module: tmebox.Module) -> Iterator[tmebox.Box]:
    with tmebox.Box(module, timeout=20.0) as box:
        yield box


def minus(a: int, b: int) -> int:
    return a - b


def test_a_python_function_is_called_by_pointer(box: tmebox.Box) -> None:
    assert box.apply(minus, 7, 2) == 5
    assert box.mix(lambda a, b, c, d: a + b + c + (d >> 62)) == 3.0
    assert box.many(lambda *values: sum(i * v for i, v in enumerate(values, 1))) == 204
    assert box.grow(lambda big, by: {"v": [v * int(by) for v in big.v]}, ([1, 2, 3, 4, 5],)).v[4] == 10


def test_sorting_with_a_comparison_in_python(box: tmebox.Box) -> None:
    values = np.array([3, 1, 2, 9, 4], np.int32)

    def descending(one: int, other: int) -> int:
        (left,), (right,) = (struct.unpack("<i", box.memory.read(at, 4)) for at in (one, other))
        return int(right - left)

    box.sort(values, len(values), descending)
    assert values.tolist() == [9, 4, 3, 2, 1]


def test_functions_of_the_sandbox_come_back_and_go_in(box: tmebox.Box) -> None:
    times = box.pick(1)
    assert (box.pick(0)(3, 4), times(3, 4), box.pick(2)) == (7, 12, None)
    assert box.apply(times, 5, 6) == box.apply(box.add, 15, 15) == 30
    assert box.same(minus) is minus
    assert (box.is_transient(-1), box.is_transient(None)) == (1, 0)


def test_a_function_pointer_that_leads_nowhere_is_an_exception(box: tmebox.Box) -> None:
    inside = box.pick(0).address
    for address in (3, 4096, 0x4000_0000, inside + 1, abi.GATE_HOSTCALL, abi.GATE_EXIT, 0x7FFF_FFFF):
        with pytest.raises(tmebox.BadReference, match="no function"):
            box.pick(address)
    assert box.add(1, 2) == 3


def test_what_is_no_function_of_that_type_is_refused(box: tmebox.Box) -> None:
    for value in (b"x", "x", np.zeros(4, np.int32), 1.5, object()):
        with pytest.raises(TypeError, match="expected a function"):
            box.apply(value, 1, 2)
    with pytest.raises(TypeError, match=r"expected a function of type int \(int, int\)"):
        box.apply(box.wrong, 1, 2)
    with tmebox.Box(box.module) as other, pytest.raises(TypeError, match="another sandbox"):
        box.apply(other.add, 1, 2)
    with tmebox.Box(box.module) as other, pytest.raises(TypeError, match="another sandbox"):
        box.apply(other.callback(minus, "op"), 1, 2)
    with pytest.raises(TypeError, match="no type of function pointers"):
        box.callback(minus, "struct big")
    with pytest.raises(TypeError, match="no type 'nothing'"):
        box.callback(minus, "nothing")


def test_an_address_that_sandboxed_code_may_not_call_is_a_trap(box: tmebox.Box) -> None:
    with pytest.raises(tmebox.ControlFlowViolation):
        box.apply(0x1234, 1, 2)


def test_a_callback_is_open_until_it_is_closed(box: tmebox.Box) -> None:
    with box.callback(minus, "op") as callback:
        box.keep_op(callback)
        assert box.call_kept(9, 4) == 5
    with pytest.raises(tmebox.BadReference, match="callback that is closed"):
        box.call_kept(9, 4)
    with pytest.raises(tmebox.BadReference, match="the callback is closed"):
        box.keep_op(callback)
    assert box.add(1, 2) == 3
    assert box.callback(minus, "sort.compar").type != box.callback(minus, "op").type


def test_a_callback_that_closes_itself_is_let_go_of(box: tmebox.Box) -> None:
    class Once:
        callback: tmebox.Callback

        def __call__(self, a: int, b: int) -> int:
            self.callback.close()
            with pytest.raises(tmebox.BadReference):
                box.call_kept(a, b)
            return a - b

    once = Once()
    once.callback = box.callback(once, "op")
    box.keep_op(once.callback)
    assert box.call_kept(9, 4) == 5
    gone = weakref.ref(once)
    del once
    gc.collect()
    assert gone() is None
    with pytest.raises(tmebox.BadReference, match="callback that is closed"):
        box.call_kept(9, 4)


def test_a_function_that_was_passed_stays_while_it_is_among_the_last(box: tmebox.Box) -> None:
    box.keep_op(minus)
    gc.collect()
    assert box.call_kept(9, 4) == 5
    for number in range(1100):
        box.apply(lambda a, b, number=number: number, 1, 2)
    with pytest.raises(tmebox.BadReference, match="closed"):
        box.call_kept(9, 4)


def test_there_are_as_many_callbacks_as_there_is_room_for(box: tmebox.Box) -> None:
    made = [box.callback(minus, "op") for _ in range(abi.MAX_CALLBACKS)]
    assert box.apply(made[-1], 5, 3) == 2
    with pytest.raises(tmebox.LimitError, match="4,096 callbacks"):
        box.callback(minus, "op")
    made[7].close()
    assert box.apply(box.callback(minus, "op"), 5, 3) == 2


def test_a_closed_slot_is_used_again_as_late_as_can_be(box: tmebox.Box) -> None:
    first = box.callback(minus, "op")
    first.close()
    box.keep_op(first.address)
    for _ in range(trampolines.PER_TEXT - 1):
        box.callback(minus, "op").close()
    with pytest.raises(tmebox.BadReference):
        box.call_kept(1, 2)


def test_an_exception_leaves_through_the_library_or_waits(box: tmebox.Box) -> None:
    seen: list[int] = []

    def fails(a: int, b: int) -> int:
        seen.append(a)
        raise KeyError(a)

    with pytest.raises(KeyError):
        box.steps(fails, 5)
    assert seen == [0]
    del seen[:]
    with pytest.raises(KeyError, match="0"):
        box.steps(box.callback(fails, "op", on_error=1), 5)
    assert seen == [0, 1, 2, 3, 4]
    assert box.add(1, 2) == 3
    with pytest.raises(OverflowError):
        box.callback(fails, "op", on_error=1 << 40)
    with pytest.raises(TypeError, match="in memory"):
        box.callback(fails, "grow.f", on_error=([0] * 5,))


def test_what_is_no_error_does_not_wait(box: tmebox.Box) -> None:
    def stops(a: int, b: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        box.steps(box.callback(stops, "op", on_error=1), 5)


def test_a_result_that_does_not_fit_is_an_error_of_the_callback(box: tmebox.Box) -> None:
    for bad in ("text", 1 << 40, None):
        with pytest.raises((TypeError, OverflowError), match="result of the host function"):
            box.apply(lambda a, b, bad=bad: bad, 1, 2)


def test_a_handle_stands_for_an_object_and_cannot_be_forged(box: tmebox.Box) -> None:
    seen: list[Any] = []
    target = {"any": "object"}
    with box.handle(target) as handle:
        box.keep(lambda user, text: seen.append((user, text)), handle)
        box.say("hello")
        assert seen.pop() == (target, "hello") and seen == []
        assert box.user_word() == handle.word and handle.word >> 32
        for forged in (handle.word ^ 1, handle.word ^ 1 << 63, 1 << 32, (1 << 64) - 1):
            with pytest.raises(tmebox.BadReference, match="neither an offset nor a handle"):
                box.say_with(forged)
        box.say_with(0x1234)
        assert seen.pop() == (0x1234, "x")
    with pytest.raises(tmebox.BadReference):
        box.say("late")
    with pytest.raises(tmebox.BadReference, match="closed"):
        box.keep(None, handle)
    with tmebox.Box(box.module) as other:
        with pytest.raises(TypeError, match="another sandbox"):
            other.keep(None, box.handle(1))
        other.keep(lambda *_: None, None)
        with pytest.raises(tmebox.BadReference):
            other.say_with(box.handle(1).word)
    with pytest.raises(TypeError, match=r"a handle is a void \*"):
        box.say(box.handle(1))


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 255, 256, 2047, 2048, 2049, 100_000])
def test_texts_arrive_whatever_their_size(box: tmebox.Box, size: int) -> None:
    seen: list[Any] = []
    box.keep(lambda user, text: seen.append(text), None)
    box.say("x" * size)
    assert seen == ["x" * size]

    def raw(user: int, text: bytes) -> None:
        seen.append(text)

    box.keep(raw, None)
    box.say(b"\xff" + b"y" * size)
    assert seen[1] == b"\xff" + b"y" * size


def test_a_text_may_end_where_memory_does_and_none_may_be_there(box: tmebox.Box) -> None:
    seen: list[Any] = []
    box.keep(lambda user, text: seen.append(text), None)
    box.say_end(4095)
    box.say_at(0)
    assert seen == ["e" * 95, None]
    for place in (16, abi.PRIVATE_END, 0xFFFF_0000, abi.SHARED_START):
        with pytest.raises(tmebox.BadPointer):
            box.say_at(place)
    assert box.add(1, 2) == 3


def test_callbacks_nest_and_may_close_themselves(box: tmebox.Box) -> None:
    def down(a: int, b: int) -> int:
        return b + (box.apply(down, a - 1, b) if a else 0)

    assert box.apply(down, 20, 2) == 42
    with pytest.raises(RecursionError):
        box.apply(down, 100_000, 2)
    callback: Any = None

    def once(a: int, b: int) -> int:
        callback.close()
        for _ in range(2 * trampolines.PER_TEXT):  # until the slot is another's
            box.callback(minus, "op").close()
        gc.collect()
        return 7

    callback = box.callback(once, "op")
    assert box.apply(callback, 1, 2) == 7


def test_a_time_limit_ends_a_library_that_calls_back_for_ever(box: tmebox.Box) -> None:
    calls = 0

    def counts(a: int, b: int) -> int:
        nonlocal calls
        calls += 1
        return 0

    with pytest.raises(tmebox.Timeout):
        box.call("spin", counts, timeout=0.1)
    assert calls > 100


def test_each_thread_has_its_own_sandbox_and_its_own_callbacks(module: tmebox.Module) -> None:
    wrong: list[Any] = []

    def work(number: int) -> None:
        with tmebox.Box(module) as box:
            for i in range(300):
                if box.apply(lambda a, b, i=i: a + b + number + i, 1, 2) != 3 + number + i:
                    wrong.append((number, i))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_callback_that_runs_elsewhere_makes_the_sandbox_busy(box: tmebox.Box) -> None:
    entered, leave = threading.Event(), threading.Event()

    def waits(a: int, b: int) -> int:
        entered.set()
        leave.wait(10)
        return 1

    thread = threading.Thread(target=box.apply, args=(waits, 1, 2))
    thread.start()
    entered.wait(10)
    with pytest.raises(tmebox.SandboxBusy):
        box.apply(minus, 1, 2)
    box.callback(minus, "op").close()
    leave.set()
    thread.join()
    assert box.apply(minus, 3, 2) == 1


def test_a_sandbox_that_its_own_callback_refers_to_is_collected(module: tmebox.Module) -> None:
    def made() -> weakref.ref[tmebox.Box]:
        box = tmebox.Box(module)
        box.keep_op(lambda a, b: box.add(a, b) + 1)
        box.keep(None, box.handle(box))
        return weakref.ref(box)

    gc.collect()
    windows = tmebox.stats().windows_live
    gone = made()
    gc.collect()
    assert gone() is None and tmebox.stats().windows_live == windows


def test_closing_ends_callbacks_and_lets_their_functions_go(module: tmebox.Module) -> None:
    class Held:
        def __call__(self, a: int, b: int) -> int:
            return 0

    held = Held()
    gone = weakref.ref(held)
    box = tmebox.Box(module)
    callback = box.callback(held, "op")
    box.close()
    with pytest.raises(tmebox.SandboxClosed):
        box.callback(minus, "op")
    callback.close()
    del held, callback, box
    gc.collect()
    assert gone() is None


def test_functions_whose_call_runs_nothing_are_no_callbacks(box: tmebox.Box) -> None:
    async def later(user: Any, text: str) -> None:
        raise AssertionError

    def generator(a: int, b: int) -> Iterator[int]:
        yield a

    with pytest.raises(TypeError, match=r"later\(\) is an async function"):
        box.callback(later, "sayer")
    with pytest.raises(TypeError, match=r"later\(\) is an async function"):
        box.keep(later, None)
    with pytest.raises(TypeError, match=r"generator\(\) is a generator"):
        box.apply(generator, 1, 2)


def test_bound_methods_are_one_callback(box: tmebox.Box) -> None:
    class Counter:
        count = 0

        def step(self, a: int, b: int) -> int:
            self.count += 1
            return a

    counter = Counter()
    for _ in range(3000):  # more than would be kept
        box.apply(counter.step, 1, 2)
    assert counter.count == 3000 and len(box._tenancy.callbacks._passed) == 1
