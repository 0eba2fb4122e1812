"""Options whose values are sizes or times."""

from __future__ import annotations

import typer


def checked_size(text: str) -> str:
    from tmebox.runtime.layout import parse_size

    try:
        parse_size(text, "SIZE")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def checked_seconds(seconds: float | None) -> float | None:
    """Neither infinite nor no number."""
    from tmebox.runtime.given import checked_timeout

    try:
        checked_timeout(seconds)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return seconds
