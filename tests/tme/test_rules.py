"""The table of rules: each has a test, an error names one, and the documents have the same table."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tmebox.tme import rules

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PACKAGE = ROOT / "src" / "tmebox" / "tme"


def test_every_rule_has_a_name_of_its_own() -> None:
    assert len(rules.RULES) == sum(len(part.ROWS) for part in (rules.configuration, rules.heap, rules.access))


def test_every_rule_has_its_test() -> None:
    tests = {
        node.name
        for path in HERE.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    missing = [rule.name for rule in rules.RULES.values() if rule.test not in tests]
    assert missing == []


def test_every_rule_that_an_error_names_is_in_the_table_and_used() -> None:
    """By a search for the names in the source: what is no error's rule describes behaviour."""
    text = "".join(path.read_text() for path in PACKAGE.rglob("*.py") if path.parent.name != "rules")
    named = set(
        re.findall(r'"((?:activate|exclude|pconfig|msr|option|paging|ept|iommu|key-id)-[a-z-]+)"', text)
    )
    kinds = {"ept-violation", "ept-misconfiguration", "key-id"}
    assert named - kinds - {"option-"} <= set(rules.RULES)
    silent = {"msr-known"} - named
    assert not silent


@pytest.mark.parametrize("rule", rules.RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_says_where_it_stands(rule: rules.Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert any(rule.section.startswith(document) for document in rules.DOCUMENTS)
    assert (rule.section == "model") <= (rule.basis == "inferred")


def test_the_document_has_the_table_and_the_lists() -> None:
    text = (ROOT / "docs" / "tme.md").read_text()
    assert rules.markdown() in text
    for line in rules.ONLY_HARDWARE_KNOWS:
        assert f"- {line}" in text.replace("\n  ", " ")
    for name, title in rules.DOCUMENTS.items():
        assert name in text and title in text.replace("\n", " ")
