"""The driver in QEMU, on each kernel it is for. Needs QEMU and, once, a network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
from tests.heap.conftest import TOUCH_C
from tests.heap.test_guest import GUEST_C
from tests.heap.test_races import RUNNER_C
from tmebox.driver import trial
from tmebox.driver.kernels import METAPACKAGES

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.machines]

EFFORTS = {"6.1": trial.Effort(noise_s=15, cycles=2_000, rounds=1_000), "6.12": trial.Effort()}
"""One kernel gets all of it."""


@pytest.fixture(scope="module", params=METAPACKAGES)
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> trial.Bench:
    try:
        return trial.Bench(request.param, tmp_path_factory.mktemp("driver"))
    except trial.TrialUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[list[trial.Outcome]]:
    """What failed leaves its log beside the test's other files."""
    outcomes: list[trial.Outcome] = []
    yield outcomes
    for outcome in outcomes:
        if outcome.log:
            (tmp_path / "console.log").write_text(outcome.log)
            print(f"the kernel's log: {tmp_path / 'console.log'}")


def only_once(bench: trial.Bench) -> None:
    if bench.series != list(METAPACKAGES)[-1]:
        pytest.skip("one kernel is enough")


def test_every_attack_fails(bench: trial.Bench, logs: list[trial.Outcome]) -> None:
    outcome = bench.whole(EFFORTS[bench.series], print)
    logs.append(outcome)
    assert outcome.failed == [], outcome.reasons
    assert outcome.passed > 50
    assert "wrong words between aliases: 0 of 262144" in outcome.counts


def test_without_memory_behind_the_keys_the_test_of_aliases_fails(bench: trial.Bench) -> None:
    only_once(bench)
    outcome = bench.without_aliases(print)
    assert "alias: every alias reads what every other wrote" in outcome.failed
    assert "machine" not in {group for _, group, _ in outcome.verdicts}


def test_every_mistake_is_caught(bench: trial.Bench, logs: list[trial.Outcome]) -> None:
    only_once(bench)
    outcome = bench.mutated(print)
    logs.append(outcome)
    assert trial.all_mutants_caught(outcome), outcome.mutants


SUMS = """
int add(int a, int b) { return a + b; }
double sum(const double *x, long n) { double s = 0; for (long i = 0; i < n; i++) s += x[i]; return s; }
void crash(void) { *(volatile int *)8 = 1; }
"""


def test_python_calls_sandboxes_beside_the_driver(bench: trial.Bench, tmp_path: Path) -> None:
    only_once(bench)
    source = tmp_path / "sums.c"
    source.write_text(SUMS)
    module = tmp_path / "sums.tbx"
    tmebox.compile(source).save(module)
    program = (Path(__file__).parent / "python_inside.py").read_text()
    try:
        outcome = bench.python(program, {"sums.tbx": module.read_bytes()}, print)
    except trial.TrialUnavailableError as error:
        pytest.skip(str(error))
    assert outcome.failed == [], (outcome.reasons, outcome.log[-2000:])
    assert {name for _, group, name in outcome.verdicts if group == "python"} == {
        "a sandbox is called",
        "a trap is an exception",
    }


ROOT = Path(__file__).parents[2]
HEAP_SOURCES = (TOUCH_C, GUEST_C, RUNNER_C)
PYTEST = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py")
HEAP_TESTS = 50


def test_the_shared_heap_holds_on_the_driver(
    bench: trial.Bench, tmp_path: Path, logs: list[trial.Outcome]
) -> None:
    """Its own tests, in the virtual machine, with the backend `tmemk`."""
    only_once(bench)
    files = {
        "pyproject.toml": b"[tool.pytest.ini_options]\nmarkers = ['slow: x', 'soak: x']\npythonpath = ['.']\n"
    }
    for source in HEAP_SOURCES:
        name = hashlib.sha256(source.encode()).hexdigest()[:16] + ".tbx"
        tmebox.compile(source_text=source).save(tmp_path / name)
        files[name] = (tmp_path / name).read_bytes()
    for file in [*(ROOT / "tests").glob("*.py"), *(ROOT / "tests" / "heap").glob("*.py")]:
        files[file.relative_to(ROOT).as_posix()] = file.read_bytes()
    program = (Path(__file__).parent / "heap_inside.py").read_text()
    try:
        outcome = bench.python(program, files, print, PYTEST)
    except trial.TrialUnavailableError as error:
        pytest.skip(str(error))
    logs.append(outcome)
    assert outcome.failed == [], outcome.reasons
    assert "backend: tmemk" in outcome.counts
    assert outcome.passed > HEAP_TESTS
