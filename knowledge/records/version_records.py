"""Versions of stacks to roll back to: the platform keeps none. File and environment are encrypted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, Select, delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.actions.catalog import JsonObject
from core.clock import Clock
from core.deployments.deploys import StackVersion, VersionContent, VersionVerdict
from knowledge.codec import decode_record, encode_record
from knowledge.database import Database
from knowledge.locks import lock_number
from knowledge.tables import versions
from knowledge.vault import Vault


class VersionRecords:
    """core.deployments.deploys.Versions over the database; keeps `kept` versions of a stack, and its last good one."""

    def __init__(self, database: Database, vault: Callable[[], Vault], clock: Clock, *, kept: int) -> None:
        """`vault`: opened with the records, after this is made."""
        self._database = database
        self._vault = vault
        self._clock = clock
        self._kept = kept

    async def add(self, version: StackVersion, content: VersionContent) -> StackVersion:
        """Keep a version; returns it with its id. One equal to the stack's newest is not kept twice."""
        secret = self._vault().seal(_sealed(content))
        async with self._database.write() as connection:
            await self._one_at_a_time(connection, version.managed_id)
            newest = await _newest(connection, version.managed_id)
            if newest is not None and newest.digest == version.digest and not _contradicts(newest, version):
                return newest
            added = await _insert(connection, version, secret)
            await self._prune(connection, version.managed_id)
            return added

    async def judge(
        self,
        version_id: int,
        verdict: VersionVerdict,
        *,
        commit: str | None = None,
        commit_message: str = "",
        image_ids: Mapping[str, str] | None = None,
    ) -> None:
        """Set the verdict of a version, and what is known only afterwards.

        A good version stays good: where the same file now ran from another commit or other images, that is kept as a
        version of its own, so that the good one can still be rolled back to.
        """
        async with self._database.write() as connection:
            row = (await connection.execute(select(versions).where(versions.c.id == version_id))).one_or_none()
            if row is None:
                return
            before = _version(row)
            await self._one_at_a_time(connection, before.managed_id)
            after = replace(
                before,
                verdict=verdict,
                commit=commit or before.commit,
                commit_message=commit_message or before.commit_message,
                image_ids=dict(image_ids or before.image_ids),
            )
            if before.verdict is not VersionVerdict.GOOD:
                await connection.execute(update(versions).where(versions.c.id == version_id).values(**_columns(after)))
            elif _contradicts(before, after):
                await _insert(connection, replace(after, at=self._clock.now()), row.secret)
                await self._prune(connection, before.managed_id)
            else:
                learnt = replace(after, verdict=VersionVerdict.GOOD)
                await connection.execute(update(versions).where(versions.c.id == version_id).values(**_columns(learnt)))

    async def get(self, version_id: int) -> StackVersion | None:
        """The version, or None."""
        found = await self._all(select(versions).where(versions.c.id == version_id))
        return found[0] if found else None

    async def content(self, version_id: int) -> VersionContent | None:
        """The secret part of a version; the caller is responsible for where it goes."""
        async with self._database.read() as connection:
            query = select(versions.c.secret).where(versions.c.id == version_id)
            secret = (await connection.execute(query)).scalar_one_or_none()
        if secret is None:
            return None
        opened = self._vault().open(secret, what=f"the version {version_id}")
        settings = opened.get("settings")
        return VersionContent(
            compose_file=str(opened.get("compose_file", "")),
            env=str(opened.get("env", "")),
            settings=settings if isinstance(settings, dict) else {},
        )

    async def of(self, managed_id: str, limit: int = 20) -> list[StackVersion]:
        """Versions of a resource, newest first."""
        return await self._all(_of(managed_id).limit(limit))

    async def last_good(self, managed_id: str, *, before: int | None = None) -> StackVersion | None:
        """The newest good version, older than `before` if given."""
        query = _of(managed_id).where(versions.c.verdict == VersionVerdict.GOOD).limit(1)
        found = await self._all(query if before is None else query.where(versions.c.id < before))
        return found[0] if found else None

    async def image_ids(self) -> set[str]:
        """Images of the kept good versions: a prune must spare them for a rollback."""
        held = await self._all(select(versions).where(versions.c.verdict == VersionVerdict.GOOD))
        return {image for version in held for image in version.image_ids.values()}

    async def _all(self, query: Select[Any]) -> list[StackVersion]:
        async with self._database.read() as connection:
            return [_version(row) for row in (await connection.execute(query)).all()]

    async def _prune(self, connection: AsyncConnection, managed_id: str) -> None:
        mine = versions.c.managed_id == managed_id
        newest = select(versions.c.id).where(mine).order_by(versions.c.id.desc()).limit(self._kept)
        held = select(versions.c.id).where(mine, versions.c.verdict == VersionVerdict.GOOD)
        last_good = held.order_by(versions.c.id.desc()).limit(1)
        await connection.execute(
            delete(versions).where(mine, versions.c.id.not_in(newest), versions.c.id.not_in(last_good))
        )

    async def _one_at_a_time(self, connection: AsyncConnection, managed_id: str) -> None:
        """Lock the resource's versions until the commit on PostgreSQL; SQLite has one writer anyway."""
        if not self._database.is_sqlite:
            number = lock_number(f"versions {managed_id}")
            await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def _contradicts(known: StackVersion, other: StackVersion) -> bool:
    """Return whether the two name different commits or images, where both name one."""
    if known.commit and other.commit and known.commit != other.commit:
        return True
    return any(known.image_ids.get(service, image) != image for service, image in other.image_ids.items())


def _of(managed_id: str) -> Select[Any]:
    return select(versions).where(versions.c.managed_id == managed_id).order_by(versions.c.id.desc())


async def _newest(connection: AsyncConnection, managed_id: str) -> StackVersion | None:
    row = (await connection.execute(_of(managed_id).limit(1))).one_or_none()
    return None if row is None else _version(row)


async def _insert(connection: AsyncConnection, version: StackVersion, secret: bytes) -> StackVersion:
    values = {**_columns(version), "managed_id": version.managed_id, "secret": secret}
    written = await connection.execute(insert(versions).values(**values).returning(versions.c.id))
    return replace(version, id=int(written.scalar_one()))


def _columns(version: StackVersion) -> dict[str, object]:
    return {"body": encode_record(version), "at": version.at, "verdict": version.verdict, "digest": version.digest}


def _sealed(content: VersionContent) -> JsonObject:
    return {"compose_file": content.compose_file, "env": content.env, "settings": content.settings}


def _version(row: Row[Any]) -> StackVersion:
    return replace(decode_record(StackVersion, row.body, what=f"the version {row.id}"), id=row.id)
