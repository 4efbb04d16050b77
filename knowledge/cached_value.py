"""A value read from the records once and kept in memory until it is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class CachedValue(Generic[T]):
    """Caches what `load` reads until `forget`, which is called after each committed write.

    Nothing is cached where other processes write too (`is_shared`), nor from a read that overlaps a write.
    """

    def __init__(self, load: Callable[[], Awaitable[T]], *, is_shared: bool) -> None:
        self._load = load
        self._is_shared = is_shared
        self._writes = 0
        self._value: T | None = None

    async def get(self) -> T:
        """The current value."""
        if self._value is not None:
            return self._value
        writes = self._writes
        value = await self._load()
        if writes == self._writes and not self._is_shared:
            self._value = value
        return value

    def forget(self) -> None:
        """Drop the cached value: it was written."""
        self._writes += 1
        self._value = None
