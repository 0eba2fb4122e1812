"""The servers' own unit tests end sandboxed as they do natively: `make servers`."""

from __future__ import annotations

import re

import pytest

from tmebox_bench.debian import SourcesUnavailableError
from tmebox_bench.servers.builds import KINDS
from tmebox_bench.servers.own_tests import SUITES, Ran, run_suite

pytestmark = [pytest.mark.servers, pytest.mark.network]


@pytest.fixture(scope="module", params=SUITES)
def ends(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[Ran], list[Ran]]:
    suite = SUITES[request.param]
    try:
        native, sandboxed = (run_suite(suite, kind, tmp_path_factory.mktemp(kind)) for kind in KINDS)
    except SourcesUnavailableError as error:
        pytest.skip(str(error))
    return request.param, native, sandboxed


def checks(ran: Ran) -> dict[str, int]:
    """How many single checks were said to have passed, or failed, and what is counted at the end."""
    found = {word: len(re.findall(re.escape(word), ran.output)) for word in ("PASSED", "FAILED", "[ok]")}
    return {**found, **dict.fromkeys(re.findall(r"\d+ tests, \d+ passed, \d+ failed", ran.output), 1)}


def test_every_program_passes_both_ways(ends: tuple[str, list[Ran], list[Ran]]) -> None:
    name, native, sandboxed = ends
    assert [ran.exit_code for ran in native] == [0] * len(SUITES[name].runs), native[-1].output[-2000:]
    assert [ran.exit_code for ran in sandboxed] == [0] * len(SUITES[name].runs), sandboxed[-1].output[-2000:]


def test_as_many_checks_are_made_sandboxed_as_natively(ends: tuple[str, list[Ran], list[Ran]]) -> None:
    name, native, sandboxed = ends
    assert list(map(checks, sandboxed)) == list(map(checks, native))
    if name == "redis":
        assert checks(native[0])["12 tests, 12 passed, 0 failed"] and not checks(native[0])["FAILED"]
