"""Print what building, running and testing the project needs, one requirement a line, from pyproject.toml.

usage: requirements.py PYPROJECT [EXTRA…]: with the named extras; with `dev` if none is named.

The only list stays in pyproject.toml. Runs before anything is installed, on Pythons without `tomllib`, so
it takes pip's own TOML parser there.
"""

from __future__ import annotations

import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib


def main(path: str, extras: list[str]) -> None:
    with open(path, "rb") as file:
        data = tomllib.load(file)
    project = data["project"]
    needed = {*data["build-system"]["requires"], *project["dependencies"]}
    for extra in extras:
        needed |= expanded(extra, project)
    print(*sorted(needed), sep="\n")


def expanded(extra: str, project: dict[str, Any]) -> set[str]:
    """What an extra asks for, with the project's other extras that it names in their place."""
    needed: set[str] = set()
    for requirement in project["optional-dependencies"][extra]:
        own = re.fullmatch(rf"{project['name']}\[([\w,-]+)\]", requirement)
        if own:
            needed |= set().union(*(expanded(name, project) for name in own[1].split(",")))
        else:
            needed.add(requirement)
    return needed


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:] or ["dev"])
