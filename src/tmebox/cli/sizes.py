"""Options whose values are sizes."""

from __future__ import annotations

import typer


def checked_size(text: str) -> str:
    from tmebox.runtime.layout import parse_size

    try:
        parse_size(text, "SIZE")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text
