"""Tasks on a Ray cluster: results, errors, lost workers, placement, and bytes that nobody believes."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tmebox
from tests.python.building import why_not
from tests.ray.conftest import LARGE_BYTES, STORE_BYTES

SOURCE = """
#include <string.h>
static int calls;
int add(int a, int b) { calls += 1; return a + b; }
int calls_so_far(void) { return calls; }
int divide(int a, int b) { return a / b; }
int peek(void) { return *(volatile int *)8; }
void forever(void) { for (;;) { } }
int ask(int n);
int twice(int n) { return ask(n) * 2; }
"""
PROGRAM = """
import json
counted = []
def score(row):
    counted.append(row)
    return {"n": len(counted), "json": json.dumps(row)}
def bad(): return 1 / 0
def big(): return ask(20) ** 20
"""
ADDED_FOR_TESTS: dict[str, Any] = {"imports": {"ask": lambda n: n + 1}}

pytestmark = pytest.mark.usefixtures("cluster")


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.fixture(scope="module")
def make(cluster: Any, module: tmebox.Module) -> Callable[..., Any]:
    import ray as library

    from tmebox import ray

    library.cloudpickle.register_pickle_by_value(sys.modules[__name__])

    def make(source: Any = module, **options: Any) -> Any:
        added = ADDED_FOR_TESTS if isinstance(source, (tmebox.Module, tmebox.Snapshot)) else {}
        return ray.pool(source, **{**added, **options})

    return make


# -- as a SandboxPool ---------------------------------------------------------------------------------
def test_map_gives_what_a_pool_here_gives(make: Callable[..., Any], module: tmebox.Module) -> None:
    with tmebox.SandboxPool(module, **ADDED_FOR_TESTS) as here, make() as there:
        for function, items in (("add", (range(20), range(20))), ("twice", (range(9),))):
            assert list(there.map(function, *items)) == list(here.map(function, *items))


def test_each_task_has_a_sandbox_of_its_own_in_the_state_of_the_snapshot(
    make: Callable[..., Any], module: tmebox.Module
) -> None:
    with tmebox.Sandbox(module, **ADDED_FOR_TESTS) as sandbox:
        sandbox.add(1, 1)
        snapshot = sandbox.snapshot()
    with make(snapshot) as pool:

        def task(box: tmebox.Sandbox, number: int) -> tuple[int, int]:
            box.add(number, 1)
            return box.calls_so_far(), os.getpid()

        found = list(pool.map(task, range(8)))
    assert {calls for calls, _ in found} == {2}
    assert os.getpid() not in {process for _, process in found}


def test_a_trap_is_raised_here_with_its_frames_and_the_next_task_goes_on(make: Callable[..., Any]) -> None:
    with make() as pool:
        results = pool.map("divide", (6, 1, 8), (3, 0, 2))
        assert next(results) == 2
        with pytest.raises(tmebox.ArithmeticTrap) as caught:
            next(results)
        assert "divide" in str(caught.value) and "Traceback" in str(caught.value.__cause__)
        assert next(results) == 4
        with pytest.raises(tmebox.MemoryFault):
            pool.submit("peek").result()
        kept = list(pool.map("divide", (1, 1), (0, 1), return_exceptions=True))
        assert isinstance(kept[0], tmebox.ArithmeticTrap) and kept[1] == 1


def test_a_time_limit_holds_on_the_worker(make: Callable[..., Any]) -> None:
    with make(timeout=0.2) as pool, pytest.raises(tmebox.Timeout):
        pool.submit("forever").result()


def test_results_can_be_awaited(make: Callable[..., Any]) -> None:
    async def work() -> tuple[int, list[int]]:
        async with make() as pool:
            return await pool.call("add", 3, 4), [
                one async for one in pool.map_async("add", range(4), range(4))
            ]

    assert asyncio.run(work()) == (7, [0, 2, 4, 6])


def test_what_a_function_of_the_host_raises_on_the_worker_is_raised_here(make: Callable[..., Any]) -> None:
    def ask(number: int) -> int:
        raise KeyError(number)

    with make(imports={"ask": ask}) as pool, pytest.raises(KeyError, match="5"):
        pool.submit("twice", 5).result()


def test_an_error_that_cannot_be_pickled_is_told_in_words(make: Callable[..., Any]) -> None:
    def task(box: tmebox.Sandbox) -> None:
        class LocalError(Exception):
            def __reduce__(self) -> Any:
                raise TypeError

        raise LocalError("it has no way out")

    with make() as pool, pytest.raises(RuntimeError, match="LocalError: it has no way out"):
        pool.submit(task).result()


def test_a_result_that_cannot_be_pickled_is_an_error(make: Callable[..., Any]) -> None:
    with make() as pool, pytest.raises(TypeError):
        pool.submit(lambda box: box).result()


# -- what the pool refuses ----------------------------------------------------------------------------
def test_a_closed_pool_takes_no_tasks(make: Callable[..., Any]) -> None:
    pool = make()
    future = pool.submit("add", 1, 2)
    pool.close()
    assert future.done() and future.result() == 3
    with pytest.raises(tmebox.SandboxClosed):
        pool.submit("add", 1, 2)


def test_what_a_future_calls_when_it_is_done_may_close_pools(make: Callable[..., Any]) -> None:
    """On the thread that all results come by."""
    one, other = make(), make()
    closed = threading.Event()

    def close(_: object) -> None:
        one.close()
        other.close()
        closed.set()

    def late(sandbox: tmebox.Sandbox) -> int:
        time.sleep(0.5)
        return int(sandbox.add(1, 1))

    slow = [one.submit(late), other.submit(late)]
    one.submit("add", 1, 2).add_done_callback(close)
    assert closed.wait(60)
    assert [future.result(60) for future in slow] == [2, 2]


def test_what_cannot_travel_is_refused_at_once(make: Callable[..., Any], module: tmebox.Module) -> None:
    with tmebox.SharedHeap("1MiB") as heap, pytest.raises(TypeError, match="heap="):
        make(heap=heap)
    with Path("/dev/null").open("rb") as file, pytest.raises(TypeError, match="stdin="):
        make(stdin=file)
    with pytest.raises(TypeError, match="not of str"):
        make("add")
    with pytest.raises(ValueError, match="retries"):
        make(retries=-1)
    with make() as pool, pytest.raises(TypeError, match="not copied or pickled"):
        pickle.dumps(pool)


def test_options_that_do_not_fit_show_at_once(module: tmebox.Module) -> None:
    from tmebox import ray

    with pytest.raises(tmebox.ModuleError, match="ask"):
        ray.pool(module)


def test_a_module_that_trusts_its_compiler_needs_a_word_and_a_seal() -> None:
    from tmebox import ray

    module = tmebox.compile(source_text="int one(void) { return 1; }", isolation="data", trust_compiler=True)
    with pytest.raises(TypeError, match="trust_compiler=True"):
        ray.pool(module)
    with ray.pool(module, trust_compiler=True) as pool:
        assert pool.submit("one").result() == 1


# -- once, through the object store -------------------------------------------------------------------
def test_a_task_carries_references_and_a_worker_unpacks_once(make: Callable[..., Any]) -> None:
    from ray import cloudpickle

    with make() as pool:
        assert len(cloudpickle.dumps(pool._parcel)) < 4000 < len(pool._parcel.module.hex()) * 1000

        def task(box: tmebox.Sandbox) -> tuple[int, int]:
            return os.getpid(), id(box.module)

        found = [pool.submit(task).result() for _ in range(10)]
    assert len(set(found)) == len({process for process, _ in found})


def test_bytes_in_the_object_store_are_not_believed(make: Callable[..., Any], module: tmebox.Module) -> None:
    import ray

    data = bytearray(module.to_bytes())
    with make() as pool:
        good = pool._parcel
        # Another module's code in the place of this one's, and texts that are none.
        place = bytes(data).rfind(b"\xc3")
        for changed in (
            bytes(data[:-100]),
            bytes(data[: len(data) // 2]),
            b"",
            bytes(data[:place]) + b"\x0f\x05",
        ):
            pool._parcel = good._replace(module=ray.put(changed), state=ray.put(ray.get(good.state)))
            with pytest.raises((tmebox.ModuleError, tmebox.VerificationError, tmebox.SnapshotError)):
                pool.submit("add", 1, 2).result()
        state = ray.get(good.state)
        for changed in (state[:-1], b"", state.replace(state[8:12], b"\xff\xff\xff\xff", 1)):
            pool._parcel = good._replace(state=ray.put(changed))
            with pytest.raises((tmebox.SnapshotError, tmebox.LimitError)):
                pool.submit("add", 1, 2).result()
        pool._parcel = good
        assert pool.submit("add", 1, 2).result() == 3


def test_code_that_the_verifier_refuses_does_not_run_on_a_worker(
    make: Callable[..., Any], module: tmebox.Module
) -> None:
    """A system call in the place of harmless code: the file is well formed, its text is not."""
    import dataclasses

    import ray

    from tmebox.modulefile.codec import encode

    file = module.file
    text = bytearray(file.text)
    text[:2] = b"\x0f\x05"
    forged = encode(dataclasses.replace(file, text=bytes(text)))
    with make() as pool:
        state = ray.put(ray.get(pool._parcel.state))
        pool._parcel = pool._parcel._replace(module=ray.put(forged), state=state)
        with pytest.raises(tmebox.VerificationError):
            pool.submit("add", 1, 2).result()


def test_a_snapshot_that_claims_more_memory_than_the_pools_is_refused(
    make: Callable[..., Any], module: tmebox.Module
) -> None:
    import ray

    with tmebox.Sandbox(module, memory="256MiB", **ADDED_FOR_TESTS) as sandbox:
        greedy = sandbox.snapshot().to_bytes()
    with make() as pool:
        pool._parcel = pool._parcel._replace(state=ray.put(greedy))
        with pytest.raises((tmebox.SnapshotError, tmebox.LimitError)):
            pool.submit("add", 1, 2).result()


# -- workers that are lost ----------------------------------------------------------------------------
def die_once(box: tmebox.Sandbox, marks: str) -> int:
    """The process that runs it is killed the first time."""
    seen = len(list(Path(marks).iterdir()))
    (Path(marks) / f"{os.getpid()}-{seen}").touch()
    if seen == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return seen


def test_a_lost_workers_task_is_not_tried_again_unless_the_pool_says_so(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    from tmebox.ray import WorkerLost

    with make() as pool:
        with pytest.raises(WorkerLost):
            pool.submit(die_once, str(tmp_path)).result()
        assert len(list(tmp_path.iterdir())) == 1
        assert pool.submit("add", 2, 3).result() == 5


def test_a_lost_workers_task_is_tried_again_where_it_may_be(make: Callable[..., Any], tmp_path: Path) -> None:
    with make(retries=2) as pool:
        assert pool.submit(die_once, str(tmp_path)).result() == 1
    assert len(list(tmp_path.iterdir())) == 2


def test_workers_killed_from_outside_amid_sandboxed_code_lose_no_task(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    def task(box: tmebox.Sandbox, number: int, marks: str) -> int:
        tries = len(list(Path(marks).glob(f"{number}-*")))
        (Path(marks) / f"{number}-{tries}-{os.getpid()}").touch()
        if number % 4 == 0 and tries == 0:
            box.forever()
        return int(box.add(number, 1))

    with make(retries=5) as pool:
        futures = [pool.submit(task, number, str(tmp_path)) for number in range(8)]
        killed: set[int] = set()
        end = time.monotonic() + 60
        while not all(future.done() for future in futures) and time.monotonic() < end:
            for mark in tmp_path.glob("*-0-*"):
                number, _, process = map(int, mark.name.split("-"))
                if number % 4 == 0 and number not in killed:
                    killed.add(number)
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.05)
        assert [future.result(timeout=60) for future in futures] == list(range(1, 9))
        assert killed == {0, 4}


def test_a_cancelled_task_stops_and_its_worker_serves_others(
    make: Callable[..., Any], tmp_path: Path
) -> None:
    def task(box: tmebox.Sandbox, marks: str) -> None:
        (Path(marks) / "begun").touch()
        box.forever()

    with make() as pool:
        futures = [pool.submit(task, str(tmp_path)) for _ in range(pool.threads)]
        while not (tmp_path / "begun").exists():
            time.sleep(0.05)
        assert all(future.cancel() for future in futures)
        assert pool.submit("add", 20, 3).result(timeout=60) == 23


def test_a_lost_machines_tasks_are_tried_again_on_another(
    make: Callable[..., Any], cluster: Any, tmp_path: Path
) -> None:
    def task(box: tmebox.Sandbox, marks: str) -> int:
        tries = len(list(Path(marks).iterdir()))
        (Path(marks) / str(tries)).touch()
        if tries == 0:
            box.forever()
        return tries

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "memory": 2 * LARGE_BYTES}
    lost = cluster.add_node(**node)
    with make(retries=3, reserved_memory=LARGE_BYTES + (1 << 20)) as pool:
        future = pool.submit(task, str(tmp_path))
        while not (tmp_path / "0").exists():
            time.sleep(0.05)
        other = cluster.add_node(**node)
        cluster.remove_node(lost, allow_graceful=False)
        assert future.result(timeout=60) >= 1
    cluster.remove_node(other)


# -- placement ----------------------------------------------------------------------------------------
def test_tasks_that_need_much_memory_run_where_it_is(make: Callable[..., Any], cluster: Any) -> None:
    def where(box: tmebox.Sandbox) -> str:
        import ray

        return str(ray.get_runtime_context().get_node_id())

    small, large = cluster.head_node.node_id, next(iter(cluster.worker_nodes)).node_id
    assert small != large
    with make(memory="600MiB") as pool:
        assert pool.memory_bytes > 1 << 30
        assert {pool.submit(where).result() for _ in range(6)} == {large}


# -- tmebox.python ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def snapshot() -> Any:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    from tmebox.python import Python

    with Python(functions={"ask": lambda n: n + 1}, timeout=5.0) as python:
        python.run(PROGRAM)
        return python.snapshot()


def test_programs_run_on_workers_as_they_do_here(make: Callable[..., Any], snapshot: Any) -> None:
    from tmebox.python import PythonError

    with make(snapshot) as pool:
        rows = [{"a": number} for number in range(6)]
        assert [found["n"] for found in pool.map("score", rows)] == [1] * 6
        assert pool.submit("big").result() == 21**20

        def task(python: Any, text: str) -> Any:
            return python.run(text), python.stdout

        assert pool.submit(task, "print('x')\n1 + 1").result() == (2, "x\n")
        with pytest.raises(PythonError) as caught:
            pool.submit("bad").result()
        assert caught.value.type == "ZeroDivisionError" and caught.value.frames[-1].function == "bad"
        with pytest.raises(tmebox.Timeout):
            pool.submit(task, "while True: pass").result()


def test_an_interpreters_bytes_are_not_believed(make: Callable[..., Any], snapshot: Any) -> None:
    import ray

    with make(snapshot) as pool:
        state = ray.get(pool._parcel.state)
        for changed in (state[: len(state) // 2], b"no snapshot"):
            pool._parcel = pool._parcel._replace(state=ray.put(changed))
            with pytest.raises(tmebox.SnapshotError):
                pool.submit("bad").result()


def test_a_program_on_a_lost_worker_is_tried_again_where_it_may_be(
    make: Callable[..., Any], snapshot: Any, tmp_path: Path
) -> None:
    from tmebox.ray import WorkerLost

    with make(snapshot) as pool, pytest.raises(WorkerLost):
        pool.submit(die_once, str(tmp_path)).result()
    for mark in tmp_path.iterdir():
        mark.unlink()
    with make(snapshot, retries=1) as pool:
        assert pool.submit(die_once, str(tmp_path)).result() == 1
