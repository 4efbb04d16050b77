"""A database that fails on demand: at a read, at a write, at a commit, or after it; so many times, or for a while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from core.errors import SystemUnavailable
from knowledge.database import Database


class Moment(StrEnum):
    """When it fails."""

    READ = "read"
    """Before anything is read."""
    WRITE = "write"
    """Before anything of a transaction is written."""
    COMMIT = "commit"
    """Once everything is written: nothing of it is kept."""
    ANSWER = "answer"
    """After the commit: everything is kept, and whoever wrote it does not hear so."""


WRITING = (Moment.WRITE, Moment.COMMIT, Moment.ANSWER)


@dataclass(kw_only=True)
class _Fault:
    times: int | None = None
    until: float | None = None


class FailingDatabase(Database):
    """The real database of either kind, until it is told to fail."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.failures = 0
        """How often it has failed."""
        self._faults: dict[Moment, _Fault] = {}

    def fail(self, *moments: Moment, times: int | None = None, for_s: float | None = None) -> None:
        """Fail at these moments from now on: `times` times, for `for_s` seconds, or until `heal`."""
        until = None if for_s is None else asyncio.get_running_loop().time() + for_s
        self._faults |= {moment: _Fault(times=times, until=until) for moment in moments}

    def heal(self) -> None:
        """Work again."""
        self._faults.clear()

    @property
    def is_failing(self) -> bool:
        """Whether any fault is left."""
        return any(self._is_on(moment) for moment in tuple(self._faults))

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for looking, where it may."""
        async with super().read() as connection:
            self._strike(Moment.READ)
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Lend a transaction, where it may."""
        async with super().write() as connection:
            self._strike(Moment.WRITE)
            yield connection
            self._strike(Moment.COMMIT)
        try:
            self._strike(Moment.ANSWER)
        except OperationalError as error:
            raise SystemUnavailable("the database", "the connection broke during the commit") from error

    def _is_on(self, moment: Moment) -> bool:
        fault = self._faults.get(moment)
        if fault is None:
            return False
        is_over = fault.until is not None and asyncio.get_running_loop().time() >= fault.until
        if is_over or fault.times == 0:
            del self._faults[moment]
            return False
        return True

    def _strike(self, moment: Moment) -> None:
        if not self._is_on(moment):
            return
        fault = self._faults[moment]
        if fault.times is not None:
            fault.times -= 1
        self.failures += 1
        raise OperationalError(f"fails at {moment}", None, OSError("disk I/O error"))
