"""Bytes that nobody can change between the check and the use."""

from __future__ import annotations


def unchanging(data: bytes | bytearray | memoryview) -> bytes:
    """The bytes of a buffer, as they are now. Another thread may write into a bytearray, and another process
    into a mapped file, while what they held is being looked at. Only exactly `bytes` are taken as they are:
    what a subclass shows as its buffer, it decides. Raises TypeError for what is no buffer."""
    return data if type(data) is bytes else bytes(memoryview(data))
