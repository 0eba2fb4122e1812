"""Pages of the documentation site that are made from other things than files in `docs/`; a hook of mkdocs."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

import tmebox
from tmebox.cli.app import app

ROOT = Path(__file__).resolve().parents[1]
COPIES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "reporting.md",
}
"""Files beside `docs/`, and the pages they become."""
SECTIONS = {
    "Compile and load": ("compile", "Module", "Diagnostic"),
    "Sandboxes": ("Sandbox", "SandboxMemory", "BadPointer", "Completed", "host_function"),
    "Arguments": ("In", "Out", "InOut"),
    "Snapshots and pools": ("Snapshot", "SandboxPool"),
    "Resources": ("limits", "Limits", "stats", "Stats"),
}
"""The API reference; exceptions and what they carry follow by themselves."""


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    decisions = next(entry for entry in config.nav or [] if "Decisions" in entry)
    decisions["Decisions"] += [{title: f"adr/{path.name}"} for path, title in _decisions()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    pages = {
        **{page: _moved((ROOT / name).read_text()) for name, page in COPIES.items()},
        "commands.md": _commands(),
        "api.md": _api(),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    return files


def _moved(text: str) -> str:
    """A file from beside `docs/`, with links as they are from within."""
    text = re.sub(r"\]\(docs/", "](", text)
    text = re.sub(r"\[([^]]+)\]\((?:LICENSE|NOTICE)\)", r"\1", text)
    for name, page in COPIES.items():
        text = text.replace(f"]({name}", f"]({page}")
    return text


# -- decisions ------------------------------------------------------------------------------------
def _decisions() -> Iterator[tuple[Path, str]]:
    for path in sorted((ROOT / "docs" / "adr").glob("0*.md")):
        heading = path.read_text().splitlines()[0].lstrip("# ")
        yield path, re.sub(r"^0*(\d+)\W+", r"\1. ", heading)


# -- commands -------------------------------------------------------------------------------------
def _commands() -> str:
    from typer.main import get_command

    return "\n".join(["# Commands", *_command(get_command(app), "tmebox", 2)])


def _command(command: Any, name: str, level: int) -> Iterator[str]:
    yield f"\n{'#' * level} {name}\n"
    yield _unstyled(inspect.cleandoc(command.help or ""))
    rows = [row for row in map(_parameter, command.params) if row]
    if rows:
        yield "\n| | |\n|---|---|\n" + "\n".join(rows)
    if command.epilog:
        yield "\n" + _epilog(inspect.cleandoc(command.epilog))
    if hasattr(command, "list_commands"):
        for key in command.list_commands(None):
            yield from _command(command.get_command(None, key), f"{name} {key}", level + 1)


def _parameter(parameter: Any) -> str:
    text = _unstyled(getattr(parameter, "help", None) or "")
    if getattr(parameter, "hidden", False):
        return ""
    metavar = parameter.metavar or (
        "" if getattr(parameter, "is_flag", False) else str(parameter.name).upper()
    )
    is_option = parameter.param_type_name == "option"
    shown = " ".join([", ".join(parameter.opts), metavar]).strip() if is_option else metavar
    default = parameter.default
    if isinstance(default, (str, int, float)) and not isinstance(default, bool):
        text += f" Default: `{default}`."
    return f"| `{shown}` | {text.replace('|', chr(92) + '|')} |"


def _epilog(text: str) -> str:
    """Examples as a block; anything else as it is."""
    if not text.startswith("Examples:"):
        return _unstyled(text)
    lines = [re.sub(r"\[/?[^]]*\]", "", line).strip() for line in text.splitlines()[1:]]
    return "```sh\n" + "\n".join(line for line in lines if line) + "\n```"


def _unstyled(text: str) -> str:
    """rich's [bold] is Markdown's bold code here; other tags go."""
    text = re.sub(r"\[bold\](.+?)\[/(?:bold)?\]", r"`\1`", text)
    return re.sub(r"\[/?(?:bold|cyan|dim|italic)[^]]*\]|\[/\]", "", text)


# -- API ------------------------------------------------------------------------------------------
def _api() -> str:
    sections: dict[str, list[str]] = defaultdict(list)
    for title, names in SECTIONS.items():
        sections[title] += names
    listed = {name for names in SECTIONS.values() for name in names}
    for name in sorted(set(tmebox.__all__) - listed):
        sections["Exceptions" if _is_exception(name) else "Errors in detail"].append(name)
    lines = ["# Python interface", "", "Everything here is imported as `tmebox.NAME`.", ""]
    for title, names in sections.items():  # type: ignore[assignment]
        lines += [f"## {title}", "", *(f"::: {_home(name)}.{name}\n" for name in names)]
    return "\n".join(lines)


def _is_exception(name: str) -> bool:
    value = getattr(tmebox, name)
    return isinstance(value, type) and issubclass(value, BaseException)


def _home(name: str) -> str:
    return str(tmebox._HOMES[name])
