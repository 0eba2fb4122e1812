"""Texts that go while frames, buffers or threads lead to them, and texts that are just coming.

A return has no check. So where a text was, no other may be as long as some
stack has a word that leads there."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest

import tmebox
from tests.hostile.scene import Ending, attack
from tmebox import LimitError, Module, Sandbox, _native, abi
from tmebox.memory import code_region

GUEST = """
#include <setjmp.h>
#include <pthread.h>
#include <semaphore.h>
typedef unsigned long word;
int host_call(int);
struct answer { long result; word more; };
struct answer core(word number, word a, word b, word c) __asm__("__tmebox_syscall");
int alive(void) { return 42; }
long ask(word number, word a, word b, word c) { return core(number, a, b, c).result; }

/* `through` is a function of another module, which calls the one that it gets. */
static int back(int x) { return host_call(x) + 1; }
int bounce(word through, int x) { return ((int (*)(int (*)(int), int))through)(back, x) + 1000; }

/* With frames that are no whole number of words. */
__attribute__((naked)) static int oddly_back(int x) {
  __asm__("subq $13, %rsp\\n call host_call\\n addq $13, %rsp\\n ret");
}
int bounce_oddly(word through, int x) { return ((int (*)(int (*)(int), int))through)(oddly_back, x) + 1000; }

static jmp_buf buffer;
static int keep(int x) { return setjmp(buffer) ? x : host_call(x); }
int remember(word through, int x) { return ((int (*)(int (*)(int), int))through)(keep, x); }
static void *where_setjmp_is;
static int jumps(int x) { longjmp(buffer, x); }
int leap(int x) { return jumps(x); }

static sem_t wanted;
static pthread_t thread;
static word through_;
static int waits(int x) { sem_wait(&wanted); return x; }
static void *in_thread(void *x) { return (void *)(long)((int (*)(int (*)(int), int))through_)(waits, 7); }
int stand(word through) {
  through_ = through;
  sem_init(&wanted, 0, 0);
  return pthread_create(&thread, 0, in_thread, 0) || pthread_detach(thread) || sched_yield();
}
int go_on(void) { sem_post(&wanted); for (int i = 0; i < 9; i++) sched_yield(); return 5; }
"""
OTHER = """
int twice(int (*f)(int), int x) { volatile int kept = 5; return f(x) + f(x) + kept - 5; }
"""
THIRD = """
int other(int x) { return x; }
int more(int x) { volatile int kept = x; return kept * 3; }
"""


def modules() -> tuple[Module, Any, Any]:
    other, third = (tmebox.compile(source_text=text).file for text in (OTHER, THIRD))
    return tmebox.compile(source_text=GUEST), other, third


class Scene:
    """A guest that can be in another module's text, which `unload` takes away."""

    def __init__(self) -> None:
        self.guest, self.file, self.third = modules()
        self.other: Module | None = None
        self.address = 0

    def load(self) -> int:
        self.other = Module(self.file)
        self.address = self.other.address
        return self.other.address_of("twice")

    def unload(self) -> None:
        self.other = None
        gc.collect()
        code_region.CODE_REGION.tidy()

    def is_taken(self) -> bool:
        """Whether nothing else can be loaded where the other module was."""
        try:
            Module(self.third, address=self.address)
        except LimitError:
            return True
        return False

    def attack(self, act: Any, host: Any) -> Ending:
        return attack(self.guest, act, imports={"host_call": host}, timeout=5.0)


ELSEWHERE = ("ControlFlowViolation", "MemoryFault", "SandboxClosed")


@pytest.mark.parametrize("bounce", ["bounce", "bounce_oddly"])
def test_a_frame_in_a_text_that_is_gone_is_never_returned_to_in_another_text(bounce: str) -> None:
    scene = Scene()
    taken: list[bool] = []

    def host(x: int) -> int:
        scene.unload()
        taken.extend(scene.is_taken() for _ in range(3))
        return x

    def act(sandbox: Sandbox) -> Any:
        try:
            return getattr(sandbox, bounce)(scene.load(), 3)
        except tmebox.Trap as trap:
            ended = trap.kind
        return taken, ended, scene.is_taken()

    assert scene.attack(act, host).value == ([True] * 3, "control-flow-violation", False)


def test_a_jump_to_such_a_frame_is_a_violation() -> None:
    """The buffer is a frame's of the program's own, above which the other text's is."""
    scene = Scene()

    def host(x: int) -> int:
        scene.unload()
        return x

    def act(sandbox: Sandbox) -> Any:
        with pytest.raises(tmebox.ControlFlowViolation):
            sandbox.remember(scene.load(), 3)
        sandbox.reset()
        through = scene.load()
        with pytest.raises(tmebox.Trap) as caught:
            sandbox.remember(through, 3)
        return caught.value.kind

    assert scene.attack(act, host).value == "control-flow-violation"


def test_a_buffer_of_a_call_that_has_ended_leads_nowhere() -> None:
    scene = Scene()

    def act(sandbox: Sandbox) -> Any:
        sandbox.remember(scene.load(), 3)
        scene.unload()
        return sandbox.leap(4)

    assert scene.attack(act, lambda x: x).exception in ELSEWHERE


def test_a_thread_that_stands_in_a_text_keeps_its_place_from_others() -> None:
    """From call to call, until it is gone itself."""
    scene = Scene()

    def act(sandbox: Sandbox) -> Any:
        assert sandbox.stand(scene.load()) == 0
        scene.unload()
        standing = [scene.is_taken() for _ in range(3)]
        sandbox.reset()
        return standing, scene.is_taken()

    assert scene.attack(act, lambda x: x).value == ([True] * 3, False)


def test_a_thread_that_returns_into_a_text_that_is_gone_stops() -> None:
    scene = Scene()

    def act(sandbox: Sandbox) -> Any:
        assert sandbox.stand(scene.load()) == 0
        scene.unload()
        return sandbox.go_on()

    assert scene.attack(act, lambda x: x).exception == "ControlFlowViolation"


def test_a_snapshot_with_a_thread_in_a_text_that_is_gone_is_not_restored_there() -> None:
    """What its words led to then may be anything now."""
    scene = Scene()

    def act(sandbox: Sandbox) -> Any:
        assert sandbox.stand(scene.load()) == 0
        snapshot = sandbox.snapshot()
        sandbox.reset()
        scene.unload()
        occupied = Module(scene.third, address=scene.address)
        try:
            restored = snapshot.sandbox() if hasattr(snapshot, "sandbox") else Sandbox(snapshot)
        except tmebox.TmeboxError as error:
            return "refused", type(error).__name__, occupied is not None
        try:
            return "went on", restored.go_on()
        except tmebox.Trap as trap:
            return "stopped", trap.kind

    ending = scene.attack(act, lambda x: x)
    assert ending.exception is None, ending
    assert ending.value[0] in ("refused", "stopped"), ending


NUMBERS = """
typedef unsigned long word;
struct answer { long result; word more; };
struct answer core(word number, word a, word b, word c) __asm__("__tmebox_syscall");
enum { BEGIN_THREAD = 0x746d6512, SWITCH_THREAD };
int host_call(int);
static char stack[1 << 20] __attribute__((aligned(4096)));
static volatile word first;
static __attribute__((noinline)) void pause(word n)
{
  if (n == 2) host_call(1); else core(SWITCH_THREAD, n, 0, 0);
  __asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15", "memory");
}
static __attribute__((noinline)) word down(long n, word number, word how)
{
  if (n == 0) { pause(how); return number; }
  word rest = down(n - 1, number + SLOT, how);
  __asm__ volatile("" : "+r"(number), "+r"(rest) :: "memory");
  return rest ^ number;
}
static void work(void) { down(20, first, 0); for (;;) pause(0); }
long stand(word number)
{
  first = number;
  long thread = core(BEGIN_THREAD, (word)work, (word)stack, (word)stack + sizeof stack).result;
  if (thread > 0) pause(thread);
  return thread;
}
long wait(word number) { return down(20, number, 2); }
"""


@pytest.mark.parametrize("function", ["stand", "wait"])
def test_numbers_in_the_frames_of_a_stack_that_waits_hold_no_text(function: str) -> None:
    """Return addresses do."""
    module = tmebox.compile(source_text=NUMBERS, flags=(f"-DSLOT={abi.TEXT_ALIGN}",))
    place = module.address + 64 * abi.TEXT_ALIGN
    held: list[bool] = []

    def look(_number: int = 0) -> int:
        for start in (place, place + 5 * abi.TEXT_ALIGN, module.address):
            held.append(_native.stacks_hold(start, start + abi.TEXT_ALIGN, _native.control_clock()))
        return 0

    with Sandbox(module, imports={"host_call": look}) as sandbox:
        getattr(sandbox, function)(place)
        if function == "stand":
            look()
    assert held == [False, False, True]


def test_a_text_that_waits_holds_up_no_other() -> None:
    scene = Scene()

    def act(sandbox: Sandbox) -> Any:
        assert sandbox.stand(scene.load()) == 0
        scene.unload()
        free = code_region.CODE_REGION.free_bytes()
        for number in range(3):
            module = tmebox.compile(source_text=f"int f(void) {{ return {number}; }}")
            del module
            gc.collect()
        code_region.CODE_REGION.tidy()
        return scene.is_taken(), code_region.CODE_REGION.free_bytes() == free

    assert scene.attack(act, lambda x: x).value == (True, True)


DEEP = """
int host_call(int);
__attribute__((noinline)) long deep(volatile long n) { return n == 0 ? host_call(1) : deep(n - 1) + n; }
"""


@pytest.mark.parametrize(
    ("sandboxes", "frames", "is_too_much"), [(1, 100, False), (1, 1_000_000, True), (12, 100_000, True)]
)
def test_stacks_with_too_much_to_look_at_count_as_those_that_lead_there(
    sandboxes: int, frames: int, is_too_much: bool
) -> None:
    """Who asks has the GIL: however deep they are, others get it soon."""
    module = tmebox.compile(source_text=DEEP, flags=("-O1",))
    place = abi.CODE_BASE + 0x1234567
    asked: list[bool] = []
    boxes: list[Sandbox] = []

    def held() -> bool:
        return _native.stacks_hold(place, place + 1, _native.control_clock())

    def host(_number: int) -> int:
        if boxes:
            boxes.pop().deep(frames)
        else:
            asked.append(held())
        return 1

    made = [Sandbox(module, imports={"host_call": host}, stack="256MiB") for _ in range(sandboxes)]
    boxes.extend(made)
    host(0)
    assert asked == [is_too_much]
    assert not held()
    for box in made:
        box.close()


@pytest.mark.parametrize("offset", [0, 16, 64])
def test_a_text_that_is_being_loaded_or_taken_away_is_no_place_for_threads(
    monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """The core asks the target map, which is not there yet, or no more."""
    scene = Scene()
    low = abi.IMAGE_START + (4 << 20)

    def act(sandbox: Sandbox) -> Any:
        asked: list[int] = []

        def ask(address: int) -> None:
            at = address + offset
            asked.append(sandbox.ask(abi.SYS_BEGIN_THREAD, at, low, low + 65536))
            asked.append(sandbox.ask(abi.SYS_READ_STACK, at, 0, 0))

        real = code_region._native  # type: ignore[attr-defined]

        def map_zero(address: int, size_bytes: int, access: int) -> None:
            real.map_zero(address, size_bytes, access)
            ask(address if address < abi.TARGET_MAP else address - abi.TARGET_MAP)

        def note_returns(address: int, size_bytes: int, *more: bytes) -> None:
            real.note_returns(address, size_bytes, *more)
            ask(address)

        names = {name: getattr(real, name) for name in dir(real)}
        spy = SimpleNamespace(**{**names, "map_zero": map_zero, "note_returns": note_returns})
        monkeypatch.setattr(code_region, "_native", spy)
        scene.load()
        scene.unload()
        scene.is_taken()
        return len(asked)

    assert scene.attack(act, lambda x: x).value > 8


LEAPS = """
#include <setjmp.h>
static jmp_buf home;
__attribute__((noinline)) static int down(int n)
{
  volatile char room[SIZE];
  room[n] = 1;
  if (n == 0) longjmp(home, 42);
  return down(n - 1) + room[n];
}
int leap(int n) { int value = setjmp(home); return value ? value : down(n); }
"""


def test_what_walks_found_is_forgotten_with_the_text() -> None:
    """The core remembers how deep frames were that a jump went over. Another text has others there."""
    files = [tmebox.compile(source_text=LEAPS, flags=(f"-DSIZE={size}",)).file for size in (1000, 3000)]
    gc.collect()
    address: int | None = None
    for kind in (0, 1, 1, 0):
        code_region.CODE_REGION.tidy()
        module = Module(files[kind], address=address)
        address = module.address
        with Sandbox(module) as sandbox:
            assert [sandbox.leap(frames) for frames in (3, 3, 70, 200, 3)] == [42] * 5
        del module, sandbox
        gc.collect()
