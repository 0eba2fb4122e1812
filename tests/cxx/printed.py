"""What a program of tests prints natively, beside what it prints in a sandbox."""

from __future__ import annotations

import re


def unlike(inside: str, outside: str) -> str:
    """What is wrong between what two runs say of their tests; nothing, if these were as many, in any order of
    lines: natively both streams come as one."""
    if sorted(counts(inside)) == sorted(counts(outside)):
        return ""
    return f"natively {counts(outside)}, sandboxed {counts(inside)}"


def counts(printed: str) -> list[str]:
    """Lines that tell how many tests there were, without their times."""
    about = re.compile(r"(?i)\b(?:tests?|cases?|assertions)\b")
    lines = [line for line in printed.splitlines() if about.search(line) and re.search(r"\d", line)]
    return [re.sub(r"\(?\d+(\.\d+)? ?m?s\b( total)?\)?", "", line) for line in lines]
