"""Locks for one call at a time per target: asyncio in one process, PostgreSQL's advisory locks across workers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from core.errors import SystemUnavailable, TimeLimitExceeded

if TYPE_CHECKING:
    import psycopg

CONNECT_S = 10


def lock_number(name: str) -> int:
    """A name as the signed 64-bit number that PostgreSQL's advisory locks take."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


class LocalLocks:
    """core.actions.calls.Locks for one process."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._interested: dict[str, int] = {}

    def hold(self, target: str, *, wait_s: float) -> AbstractAsyncContextManager[None]:
        """Hold the target's lock; raises TimeLimitExceeded when it is not free within `wait_s`."""
        return self._hold(target, wait_s)

    @asynccontextmanager
    async def _hold(self, target: str, wait_s: float) -> AsyncIterator[None]:
        lock = self._locks.setdefault(target, asyncio.Lock())
        self._interested[target] = self._interested.get(target, 0) + 1
        try:
            try:
                async with asyncio.timeout(wait_s):
                    await lock.acquire()
            except TimeoutError as error:
                raise _busy(target, wait_s) from error
            try:
                yield
            finally:
                lock.release()
        finally:
            self._interested[target] -= 1
            if not self._interested[target]:
                del self._interested[target], self._locks[target]


class PostgresLocks:
    """core.actions.calls.Locks across workers: a session lock on its own connection, freed when that dies."""

    def __init__(self, plain_url: str) -> None:
        self._url = plain_url
        self._here = LocalLocks()

    def hold(self, target: str, *, wait_s: float) -> AbstractAsyncContextManager[None]:
        """Hold the target's lock; raises TimeLimitExceeded when it is not free within `wait_s`."""
        return self._hold(target, wait_s)

    @asynccontextmanager
    async def _hold(self, target: str, wait_s: float) -> AsyncIterator[None]:
        began = asyncio.get_running_loop().time()
        async with self._here.hold(target, wait_s=wait_s):
            left_s = max(wait_s - (asyncio.get_running_loop().time() - began), 0.001)
            connection = await self._connect(target)
            try:
                await _take(connection, target, left_s, wait_s)
                yield
            finally:
                await connection.close()

    async def _connect(self, target: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
        import psycopg

        try:
            return await psycopg.AsyncConnection.connect(self._url, autocommit=True, connect_timeout=CONNECT_S)
        except psycopg.Error as error:
            problem = str(error).strip().split("\n", 1)[0]
            raise SystemUnavailable("the database", f"no connection for the lock on {target!r}: {problem}") from error


async def _take(
    connection: psycopg.AsyncConnection[tuple[object, ...]], target: str, left_s: float, wait_s: float
) -> None:
    import psycopg

    try:
        await connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{max(int(left_s * 1000), 1)}ms",))
        await connection.execute("SELECT pg_advisory_lock(%s)", (lock_number(f"target {target}"),))
    except psycopg.errors.LockNotAvailable as error:
        raise _busy(target, wait_s) from error
    except psycopg.Error as error:
        raise SystemUnavailable("the database", str(error).strip().split("\n", 1)[0]) from error


def _busy(target: str, wait_s: float) -> TimeLimitExceeded:
    return TimeLimitExceeded("the lock", f"another call holds {target!r} for longer than {wait_s:g} s")
