"""What can go wrong with a task because it runs elsewhere."""

from __future__ import annotations

from tmebox.errors import TmeboxError


class WorkerLost(TmeboxError):
    """The process or machine that ran the task is gone, as often as the pool may try. Whether the task did
    what it was to do, nobody knows."""


class RemoteTraceback(Exception):
    """The cause of an exception that a task raised on a worker: its traceback there, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}" if self.args else ""
