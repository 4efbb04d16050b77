"""A value of the records that is read once and kept in memory until somebody writes it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Reads with `load`, and again after `forget`; whoever writes calls that once it is committed.

    Where other processes write too (`is_shared`) nothing is kept. A read that overlaps a write is not kept either.
    """

    def __init__(self, load: Callable[[], Awaitable[T]], *, is_shared: bool) -> None:
        self._load = load
        self._is_shared = is_shared
        self._writes = 0
        self._value: T | None = None

    async def get(self) -> T:
        """The value as it is now."""
        if self._value is not None:
            return self._value
        writes = self._writes
        value = await self._load()
        if writes == self._writes and not self._is_shared:
            self._value = value
        return value

    def forget(self) -> None:
        """It was written."""
        self._writes += 1
        self._value = None
