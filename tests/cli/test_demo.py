"""The demo is honest: every attack runs, and one that gets through makes it fail."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import tmebox as package
from tests.cli.command_line import Run
from tmebox.cli.demo import FOLDER, expected_blur
from tmebox.cli.demo.attacks import ATTACKS, Attack, NotStopped, Victim, refuse_system_call, run_attack
from tmebox.errors import MemoryFault


@pytest.fixture(scope="module")
def module() -> package.Module:
    return package.compile(FOLDER / "attacks.c")


@pytest.fixture
def victim(module: package.Module) -> Victim:
    return Victim(module)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_each_attack_is_stopped_by_the_trap_it_must_be_or_for_nothing(
    attack: Attack, module: package.Module, victim: Victim
) -> None:
    outcome = run_attack(attack, module, victim)
    wanted = attack.missed if attack.stopped_by is None else attack.stopped_by.__name__
    assert wanted and outcome.stopped_by.startswith(wanted)


def test_a_system_call_is_refused_in_source_and_in_a_module(module: package.Module) -> None:
    in_source, smuggled = refuse_system_call(module)
    assert "syscall" in in_source.stopped_by and "syscall.c" in in_source.stopped_by
    assert "no-privileged-instruction" in smuggled.stopped_by


def test_an_attack_that_comes_back_fails_the_demo(module: package.Module, victim: Victim) -> None:
    harmless = Attack("harmless", "nothing", lambda sandbox, _: sandbox.alive(1), MemoryFault)
    with pytest.raises(NotStopped):
        run_attack(harmless, module, victim)


def test_an_attack_that_changes_the_host_fails_the_demo(module: package.Module, victim: Victim) -> None:
    def cheat(sandbox: object, victim: Victim) -> None:
        victim.secret[0] ^= 1
        ATTACKS[0].run(sandbox, victim)

    with pytest.raises(NotStopped):
        run_attack(dataclasses.replace(ATTACKS[0], run=cheat), module, victim)


def test_the_demo_shows_everything_stopped_and_succeeds(tmebox: Run) -> None:
    done = tmebox("demo")
    assert done.code == 0, done.err
    assert "the same as NumPy's result" in done.out
    assert "All stopped." in done.out
    for attack in ATTACKS:
        assert attack.name in done.out


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_the_demos_expectation_is_a_box_blur(radius: int) -> None:
    image = np.random.default_rng(5).integers(0, 256, (6, 9)).astype(np.uint8)
    blurred = expected_blur(image, radius)
    for y, x in np.ndindex(*image.shape):
        around = image[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        assert blurred[y, x] == int(around.sum()) // around.size


def test_the_demo_of_the_model_shows_cipher_text_and_what_the_machine_logged(tmebox: Run) -> None:
    done = tmebox("demo", "--backend", "model")
    assert done.code == 0, done.err
    assert "The sandbox sees its own bytes" in done.out
    assert done.out.count("IntegrityViolation") == 2
    assert "integrity, line 0x0, KeyID 1" in done.out and "integrity, line 0x0, KeyID 2" in done.out
