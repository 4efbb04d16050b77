"""Measured resources over time: 10 s for an hour, 1 min for a day, 10 min for 30 days, one small blob per round."""

from __future__ import annotations

import asyncio
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from core.clock import Clock
from core.monitoring.snapshot import Sample
from core.monitoring.usage_series import SeriesPoint
from knowledge.database import Database
from knowledge.tables import measured, series

VALUES_PER_SAMPLE = 8
CPU, MEMORY, LIMIT, MEMORY_MAX, RX, TX, READ, WRITE = range(VALUES_PER_SAMPLE)
COUNTERS = (RX, TX, READ, WRITE)
"""Totals since the container started: a longer grain keeps the last one."""
COMPRESSION = 1


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Resolution of measurements, and how long they are kept."""

    seconds: int
    """0: each round as it was measured."""
    kept: timedelta


RAW = Resolution(seconds=0, kept=timedelta(hours=1))
MINUTES = Resolution(seconds=60, kept=timedelta(days=1))
TEN_MINUTES = Resolution(seconds=600, kept=timedelta(days=30))
ROLLED_UP = (MINUTES, TEN_MINUTES)
RETENTION_SLACK = timedelta(minutes=2)
"""Extra lifetime of rows: a window is fixed a moment before it is read."""


class _Sum:
    """One container's running aggregate of one grain."""

    __slots__ = ("count", "values")

    def __init__(self) -> None:
        self.count = 0
        self.values = [0.0] * VALUES_PER_SAMPLE

    def add(self, row: Sequence[float]) -> None:
        mine = self.values
        mine[CPU] += row[CPU]
        mine[MEMORY] += row[MEMORY]
        mine[LIMIT] = row[LIMIT]
        mine[MEMORY_MAX] = max(mine[MEMORY_MAX], row[MEMORY_MAX])
        for counter in COUNTERS:
            mine[counter] = row[counter]
        self.count += 1

    def row(self) -> list[float]:
        """Means of CPU and memory, the highest memory, the last of the rest."""
        values = self.values[:]
        values[CPU] /= self.count
        values[MEMORY] /= self.count
        return values


@dataclass(kw_only=True)
class _Bucket:
    """One host's unfinished span of one grain."""

    begins_s: int
    sums: dict[int, _Sum]


class SeriesRecords:
    """core.monitoring.usage_series.Series over the database.

    A round of a host is one row: the containers' numbers beside their ids, packed. The spans that are under way are
    summed in memory and written when they end; after a restart they are summed again from the finer rows.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._ids: dict[str, int] = {}
        self._ids_of: date | None = None
        self._buckets: dict[tuple[str, int], _Bucket] = {}
        self._pruned_at: datetime | None = None
        self._turn = asyncio.Lock()

    async def add(self, host: str, samples: dict[str, Sample]) -> None:
        """Store one round of a host's samples, by container name."""
        if not samples:
            return
        async with self._turn:
            await self._learn_ids([f"{host}/{name}" for name in samples])
            rows = {self._ids[f"{host}/{name}"]: _row(sample) for name, sample in samples.items()}
            at_s = int(max(sample.at for sample in samples.values()).timestamp())
            for grain in ROLLED_UP:
                if (host, grain.seconds) not in self._buckets:
                    await self._resume(host, grain, at_s)
            written = [(RAW.seconds, at_s, _pack(rows))]
            for grain in ROLLED_UP:
                ended = self._sum_up(host, grain, at_s, rows)
                if ended is not None:
                    written.append((grain.seconds, ended.begins_s, _pack_bucket(ended)))
            async with self._database.write() as connection:
                for grain_s, begins_s, points in written:
                    await self._put(connection, grain_s, host, begins_s, points)
                await self._prune(connection)

    async def read(self, ref: str, since: datetime, until: datetime) -> list[SeriesPoint]:
        """Points of a container (`host/name`), oldest first, in the finest grain that covers the span."""
        number = await self._id(ref)
        if number is None:
            return []
        host = ref.rpartition("/")[0]
        grain = self._grain_for(since)
        query = (
            select(series.c.at_s, series.c.points)
            .where(series.c.grain_s == grain.seconds, series.c.host == host)
            .where(series.c.at_s >= int(since.timestamp()) - grain.seconds, series.c.at_s <= int(until.timestamp()))
            .order_by(series.c.at_s)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        found = await asyncio.to_thread(_points, [(row.at_s, row.points) for row in rows], number)
        found += self._unfinished(host, number, grain, found)
        return [point for point in found if since <= point.at <= until]

    async def containers(self, host: str) -> list[str]:
        """Names of the containers of a host that were ever measured and are still remembered."""
        query = select(measured.c.ref).where(measured.c.ref.startswith(f"{host}/", autoescape=True))
        async with self._database.read() as connection:
            refs = (await connection.execute(query.order_by(measured.c.ref))).scalars()
            return [ref.partition("/")[2] for ref in refs]

    # -- ids -------------------------------------------------------------------------------------------------------

    async def _id(self, ref: str) -> int | None:
        if ref in self._ids:
            return self._ids[ref]
        async with self._database.read() as connection:
            query = select(measured.c.id).where(measured.c.ref == ref)
            return (await connection.execute(query)).scalar_one_or_none()

    async def _learn_ids(self, refs: Iterable[str]) -> None:
        """Number new containers; once a day note which still exist, and delete those long gone."""
        now = self._clock.now()
        if self._ids_of != now.date():
            self._ids, self._ids_of = {}, now.date()
        new = [{"ref": ref, "seen_at": now} for ref in refs if ref not in self._ids]
        if not new:
            return
        dialect = sqlite if self._database.is_sqlite else postgresql
        seen = dialect.insert(measured).on_conflict_do_update(index_elements=["ref"], set_={"seen_at": now})
        async with self._database.write() as connection:
            await connection.execute(seen, new)
            await connection.execute(
                delete(measured).where(measured.c.seen_at < now - TEN_MINUTES.kept - timedelta(days=1))
            )
            wanted = [item["ref"] for item in new]
            rows = await connection.execute(select(measured.c.ref, measured.c.id).where(measured.c.ref.in_(wanted)))
            self._ids.update({row.ref: row.id for row in rows})

    # -- spans under way -------------------------------------------------------------------------------------------

    async def _resume(self, host: str, grain: Resolution, at_s: int) -> None:
        """Sum the span under way again from the finer rows, as it was before a restart."""
        begins_s = at_s - at_s % grain.seconds
        bucket = _Bucket(begins_s=begins_s, sums={})
        query = (
            select(series.c.points)
            .where(series.c.grain_s == RAW.seconds, series.c.host == host)
            .where(series.c.at_s >= begins_s, series.c.at_s < at_s)
            .order_by(series.c.at_s)
        )
        async with self._database.read() as connection:
            rounds = (await connection.execute(query)).scalars().all()
        for points in rounds:
            _add_round(bucket, _unpack(points))
        self._buckets[host, grain.seconds] = bucket

    def _sum_up(self, host: str, grain: Resolution, at_s: int, rows: Mapping[int, Sequence[float]]) -> _Bucket | None:
        """Add a round to the span under way; returns the span before it, where the round began a new one."""
        bucket = self._buckets[host, grain.seconds]
        begins_s = at_s - at_s % grain.seconds
        ended = None
        if begins_s > bucket.begins_s:
            ended = bucket if bucket.sums else None
            bucket = self._buckets[host, grain.seconds] = _Bucket(begins_s=begins_s, sums={})
        _add_round(bucket, rows.items())
        return ended

    def _unfinished(self, host: str, number: int, grain: Resolution, found: Sequence[SeriesPoint]) -> list[SeriesPoint]:
        bucket = self._buckets.get((host, grain.seconds))
        if bucket is None or number not in bucket.sums:
            return []
        point = _point(bucket.begins_s, bucket.sums[number].row())
        return [point] if not found or found[-1].at < point.at else []

    def _grain_for(self, since: datetime) -> Resolution:
        now = self._clock.now()
        return next((grain for grain in (RAW, MINUTES) if since >= now - grain.kept - RETENTION_SLACK), TEN_MINUTES)

    # -- rows ------------------------------------------------------------------------------------------------------

    async def _put(self, connection: AsyncConnection, grain_s: int, host: str, at_s: int, points: bytes) -> None:
        """Write a span; one cut by a restart is written twice: the later, fuller one stays."""
        key = (series.c.grain_s == grain_s, series.c.host == host, series.c.at_s == at_s)
        await connection.execute(delete(series).where(*key))
        await connection.execute(insert(series).values(grain_s=grain_s, host=host, at_s=at_s, points=points))

    async def _prune(self, connection: AsyncConnection) -> None:
        now = self._clock.now()
        if self._pruned_at is not None and now - self._pruned_at < timedelta(minutes=1):
            return
        for grain in (RAW, *ROLLED_UP):
            oldest_s = int((now - grain.kept - 2 * RETENTION_SLACK).timestamp())
            old = (series.c.grain_s == grain.seconds, series.c.at_s < oldest_s)
            await connection.execute(delete(series).where(*old))
        self._pruned_at = now


def _row(sample: Sample) -> list[float]:
    memory = float(sample.memory_bytes)
    return [
        sample.cpu_pct,
        memory,
        float(sample.memory_limit_bytes),
        memory,
        float(sample.network_rx_bytes),
        float(sample.network_tx_bytes),
        float(sample.disk_read_bytes),
        float(sample.disk_write_bytes),
    ]


def _pack(rows: Mapping[int, Sequence[float]]) -> bytes:
    """Ids, then each container's eight numbers, little-endian and compressed."""
    ids, numbers = array("I", rows), array("d")
    for row in rows.values():
        numbers.extend(row)
    head = len(rows).to_bytes(4, "little")
    return zlib.compress(head + ids.tobytes() + numbers.tobytes(), COMPRESSION)


def _pack_bucket(bucket: _Bucket) -> bytes:
    return _pack({number: each.row() for number, each in bucket.sums.items()})


def _open(points: bytes) -> tuple[array[int], array[float]]:
    raw = zlib.decompress(points)
    count = int.from_bytes(raw[:4], "little")
    ids, numbers = array("I"), array("d")
    ids.frombytes(raw[4 : 4 + 4 * count])
    numbers.frombytes(raw[4 + 4 * count :])
    return ids, numbers


def _unpack(points: bytes) -> Iterable[tuple[int, Sequence[float]]]:
    ids, numbers = _open(points)
    return (
        (number, numbers[place * VALUES_PER_SAMPLE : (place + 1) * VALUES_PER_SAMPLE])
        for place, number in enumerate(ids)
    )


def _add_round(bucket: _Bucket, rows: Iterable[tuple[int, Sequence[float]]]) -> None:
    for number, row in rows:
        found = bucket.sums.get(number)
        if found is None:
            found = bucket.sums[number] = _Sum()
        found.add(row)


def _points(rows: Sequence[tuple[int, Any]], number: int) -> list[SeriesPoint]:
    found: list[SeriesPoint] = []
    for at_s, points in rows:
        ids, numbers = _open(points)
        try:
            place = ids.index(number)
        except ValueError:
            continue
        found.append(_point(at_s, numbers[place * VALUES_PER_SAMPLE : (place + 1) * VALUES_PER_SAMPLE]))
    return found


def _point(at_s: int, row: Sequence[float]) -> SeriesPoint:
    return SeriesPoint(
        at=datetime.fromtimestamp(at_s, UTC),
        cpu_pct=row[CPU],
        memory_bytes=row[MEMORY],
        memory_limit_bytes=row[LIMIT],
        memory_max_bytes=row[MEMORY_MAX],
        network_rx_bytes=row[RX],
        network_tx_bytes=row[TX],
        disk_read_bytes=row[READ],
        disk_write_bytes=row[WRITE],
    )
