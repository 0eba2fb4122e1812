"""The runner of hostile tests must itself tell every ending from every other."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from tests.forked import run_forked


def test_a_value_comes_back() -> None:
    assert run_forked(lambda: {"pid": os.getpid()}).result()["pid"] != os.getpid()


def test_an_exception_comes_back_with_its_traceback() -> None:
    outcome = run_forked(lambda: 1 // 0)
    assert "ZeroDivisionError" in (outcome.error or "")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        outcome.result()


def test_a_crash_is_told_by_its_signal() -> None:
    assert run_forked(lambda: os.kill(os.getpid(), signal.SIGKILL)).signal == signal.SIGKILL


def test_an_early_exit_is_not_a_result() -> None:
    assert run_forked(lambda: os._exit(3)).exit_status == 3


def test_sys_exit_is_an_error_not_the_end_of_the_test_run() -> None:
    assert "SystemExit" in (run_forked(lambda: sys.exit(0)).error or "")


def test_a_child_that_hangs_is_killed() -> None:
    outcome = run_forked(lambda: time.sleep(60), timeout_s=0.2)
    assert outcome.hung
    with pytest.raises(AssertionError, match="hung"):
        outcome.result()
