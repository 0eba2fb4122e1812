"""Every example is accepted, or rejected by the rule that its name says."""

from pathlib import Path

import pytest

from tests.verify.corpus import ACCEPT, REJECT, Example
from tmebox.errors import VerificationError
from tmebox.verify import rules, verify


def rule_of(source: Path) -> str:
    return source.name.partition("--")[0]


def name_of(source: Path) -> str:
    return source.stem


@pytest.mark.parametrize("source", sorted(ACCEPT.glob("*.s")), ids=name_of)
def test_an_accepted_example_is_accepted(source: Path, examples: dict[Path, Example]) -> None:
    example = examples[source]
    text = verify(**example.arguments())
    assert text.code == example.code
    assert len(text.target_map) == len(example.code)


@pytest.mark.parametrize("source", sorted(REJECT.glob("*.s")), ids=name_of)
def test_a_rejected_example_breaks_the_rule_in_its_name(source: Path, examples: dict[Path, Example]) -> None:
    with pytest.raises(VerificationError) as caught:
        verify(**examples[source].arguments())
    assert rule_of(source) in {violation.rule for violation in caught.value.violations}


@pytest.mark.parametrize("rule", rules.ALL)
@pytest.mark.parametrize("folder", [ACCEPT, REJECT], ids=["accepted", "rejected"])
def test_every_rule_has_an_example(rule: str, folder: Path) -> None:
    assert any(rule_of(source) == rule for source in folder.glob("*.s"))


@pytest.mark.parametrize("source", sorted(REJECT.glob("*.s")), ids=name_of)
def test_every_rejected_example_names_a_rule_and_says_what_it_stops(source: Path) -> None:
    assert rule_of(source) in rules.ALL
    assert source.read_text().startswith("# ")
