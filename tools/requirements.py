"""Print what building, running and testing the project needs, one requirement a line, from pyproject.toml.

The only list stays in pyproject.toml. Runs before anything is installed, on Pythons without `tomllib`, so
it takes pip's own TOML parser there.
"""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib


def main(path: str) -> None:
    with open(path, "rb") as file:
        data = tomllib.load(file)
    project = data["project"]
    needed = [
        *data["build-system"]["requires"],
        *project["dependencies"],
        *project["optional-dependencies"]["dev"],
    ]
    print(*sorted(set(needed)), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1])
