"""The driver in QEMU, on each kernel it is for. Needs QEMU and, once, a network.

In every run of the tests: short attacks on each kernel, the negative control, and the shared heap on one. The
rest is behind the marker `machines`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import tmebox
from tests.heap.conftest import RUNNER_C, TOUCH_C
from tests.heap.test_guest import GUEST_C
from tests.heap.test_life import OUT_C, STATE_C
from tests.heap.test_moving import HOLD_C, TWICE_C
from tests.hostile.test_shared_heap import ATTACK_C
from tmebox.driver import build, hardware, machine, trial
from tmebox.driver.kernels import METAPACKAGES

pytestmark = [pytest.mark.slow, pytest.mark.network]

SHORT = trial.Effort(noise_s=5, cycles=300, rounds=300)
EFFORTS = {"6.1": trial.Effort(noise_s=15, cycles=2_000, rounds=1_000), "6.12": trial.Effort()}
"""One kernel gets all of it."""
LAST_LINES = 60
"""Of a kernel's log, which a test that fails shows."""


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
            print(f"the kernel's log: {tmp_path / 'console.log'}, which ends with")
            print(*outcome.log.splitlines()[-LAST_LINES:], sep="\n")


def only_once(bench: trial.Bench) -> None:
    if bench.series != list(METAPACKAGES)[-1]:
        pytest.skip("one kernel is enough")


def check_whole(bench: trial.Bench, effort: trial.Effort, logs: list[trial.Outcome]) -> None:
    outcome = bench.whole(effort, print)
    logs.append(outcome)
    assert outcome.failed == [], outcome.reasons
    assert outcome.passed > 50
    assert "wrong words between aliases: 0 of 262144" in outcome.counts


def test_every_attack_fails(bench: trial.Bench, logs: list[trial.Outcome]) -> None:
    check_whole(bench, SHORT, logs)


@pytest.mark.machines
def test_every_attack_fails_for_minutes(bench: trial.Bench, logs: list[trial.Outcome]) -> None:
    check_whole(bench, EFFORTS[bench.series], logs)


def test_without_memory_behind_the_keys_the_test_of_aliases_fails(
    bench: trial.Bench, logs: list[trial.Outcome]
) -> None:
    only_once(bench)
    outcome = bench.without_aliases(print)
    logs.append(outcome)
    assert "alias: every alias reads what every other wrote" in outcome.failed
    assert "machine" not in {group for _, group, _ in outcome.verdicts}


@pytest.mark.machines
def test_every_mistake_is_caught(bench: trial.Bench, logs: list[trial.Outcome]) -> None:
    only_once(bench)
    outcome = bench.mutated(print)
    logs.append(outcome)
    assert trial.all_mutants_caught(outcome), outcome.mutants


ROOT = Path(__file__).parents[2]
INSIDE = Path(__file__).parent
DIVIDE_C = "long divide(long a, volatile long *b) { return a / *b; }"
PROGRAM_C = "int main(void) { return 7; }\n"
SPIN_C = """
int add(int a, int b) { return a + b; }
double sum(const double *x, long n) { double s = 0; for (long i = 0; i < n; i++) s += x[i]; return s; }
void crash(void) { *(volatile int *)8 = 1; }
long spin(volatile long *p) { for (;;) if (*p == 2) return 0; }
long peek(volatile long *p) { return *p; }
long peek7(volatile int *p) { return p[7]; }
"""
MODULES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((TOUCH_C, GUEST_C, RUNNER_C, DIVIDE_C, PROGRAM_C, STATE_C, OUT_C, TWICE_C, HOLD_C), ()),
    ATTACK_C: ("-mavx2",),
}
"""By their sources: flags."""
TESTS = ("tests", "tests/driver", "tests/heap", "tests/hostile", "tests/memory")
SETTINGS = b"""[tool.pytest.ini_options]
markers = ['slow: x', 'soak: x']
pythonpath = ['.']
"""
PYTEST = (
    *("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments"),
    *("hypothesis", "sortedcontainers"),
)
ATTACKS = ("grants", "mappings", "processes", "edges", "lives", "races", "noise", "cycles", "hardware")
HEAP_TESTS = 100
LEFT_OUT = ("only a MAC could stop it", "wrong key stops the thread", "sleep")


def inside(folder: Path) -> dict[str, bytes]:
    """The tests and their modules, by path in the virtual machine."""
    files = {"pyproject.toml": SETTINGS}
    for source, flags in MODULES.items():
        name = hashlib.sha256(source.encode()).hexdigest()[:16] + ".tbx"
        tmebox.compile(source_text=source, flags=flags).save(folder / name)
        files[name] = (folder / name).read_bytes()
    tmebox.compile(source_text=SPIN_C).save(folder / "spin.tbx")
    files["spin.tbx"] = (folder / "spin.tbx").read_bytes()
    for tests in TESTS:
        for file in [*(ROOT / tests).glob("*.py"), *(ROOT / tests).glob("*.txt")]:
            files[file.relative_to(ROOT).as_posix()] = file.read_bytes()
    for program in ("python_inside", "hardware_inside", "checks_inside"):
        files[f"{program}.py"] = (INSIDE / f"{program}.py").read_bytes()
    files[hardware.PROGRAM] = build.guest(build.sources(), folder / hardware.PROGRAM).read_bytes()
    return files


def test_the_shared_heap_holds_on_the_driver(
    bench: trial.Bench, tmp_path: Path, logs: list[trial.Outcome]
) -> None:
    """All that `tmebox driver test --hardware` runs, on the simulated device of the virtual machine: attacks
    on the driver, and the heap's own tests and attacks on `tmemk`. Then machine checks."""
    only_once(bench)
    program = "import python_inside, hardware_inside, checks_inside"
    try:
        outcome = bench.python(program, inside(tmp_path), print, PYTEST)
    except trial.TrialUnavailableError as error:
        pytest.skip(str(error))
    logs.append(outcome)
    assert outcome.failed == [], outcome.reasons
    assert "backend: tmemk" in outcome.counts
    groups = [group for verdict, group, _ in outcome.verdicts if verdict == "ok"]
    assert groups.count("python") == 2
    assert groups.count("heap") > HEAP_TESTS
    assert groups.count("device") == 6
    assert groups.count("refusals") == 6
    assert set(ATTACKS) <= set(groups)
    assert sum(count.endswith(" hold, 0 do not") for count in outcome.counts) == 2
    # Only what needs a MAC, or a look from outside, or would send the machine to sleep, was left out.
    for name in outcome.skipped:
        assert any(why in name for why in LEFT_OUT), name
    assert any("nothing is encrypted here" in reason for reason in outcome.reasons)


def test_logs_of_what_fails_are_kept(bench: trial.Bench, tmp_path: Path) -> None:
    only_once(bench)
    with pytest.raises(machine.NotStartedError, match=r"before it started.*Kernel panic") as caught:
        list(machine.run(bench.qemu, machine.Boot(bench.kernel.image, b"", "tests=")))
    assert "Kernel panic" in caught.value.log
