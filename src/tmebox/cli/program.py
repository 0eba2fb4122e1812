"""The program a command names: a module file as it is, or source that is compiled first."""
from __future__ import annotations
from tmebox.cli.output import Report
