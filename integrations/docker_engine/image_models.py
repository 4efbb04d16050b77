"""Turns an engine's answers about images, build cache and networks into models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from integrations.docker_engine.client.json_fields import JsonAnswer, count, mapping, moment, sequence, string
from integrations.docker_engine.image_store import CacheEntry, Image, Network, StoredSpace

_NOTHING = ("<none>:<none>", "<none>@<none>")

UsersByImage = Mapping[str, Sequence[str]]
"""Image id → container names."""


def users_of(listed: object) -> dict[str, list[str]]:
    """Read an answer of `/containers/json?all=1`: image id → container names."""
    users: dict[str, list[str]] = {}
    for one in map(mapping, sequence(listed)):
        names = [string(name).removeprefix("/") for name in sequence(one.get("Names"))]
        users.setdefault(string(one.get("ImageID")), []).append(names[0] if names else string(one.get("Id"))[:12])
    return users


def image_of(host: str, raw: JsonAnswer, users: UsersByImage) -> Image:
    """Read one entry of `/images/json`, `/system/df` or an answer of `/images/<name>/json`."""
    found, shared = string(raw.get("Id")), count(raw.get("SharedSize"))
    size = max(0, count(raw.get("Size")))
    created = raw.get("Created")
    labels = mapping(raw.get("Labels")) or mapping(mapping(raw.get("Config")).get("Labels"))
    return Image(
        host=host,
        id=found,
        tags=_names(raw, "RepoTags"),
        digests=_names(raw, "RepoDigests"),
        size_bytes=size,
        unique_bytes=max(0, size - shared) if "SharedSize" in raw and shared >= 0 else None,
        created_at=_from_epoch(created) if isinstance(created, int | float) else moment(created),
        named_at=moment(mapping(raw.get("Metadata")).get("LastTagTime")),
        used_by=tuple(sorted(users.get(found, ()))),
        labels={key: string(value) for key, value in labels.items()},
    )


def space_of(host: str, raw: JsonAnswer, users: UsersByImage) -> StoredSpace:
    """Read an answer of `/system/df`."""
    return StoredSpace(
        layers_bytes=count(raw.get("LayersSize")),
        images=tuple(image_of(host, mapping(one), users) for one in sequence(raw.get("Images"))),
        cache=tuple(_cache(mapping(one)) for one in sequence(raw.get("BuildCache"))),
    )


def network_of(raw: JsonAnswer) -> Network:
    """Read one entry of `/networks`."""
    return Network(
        id=string(raw.get("Id")),
        name=string(raw.get("Name")),
        is_local=string(raw.get("Scope")) == "local" and raw.get("Ingress") is not True,
        created_at=moment(raw.get("Created")),
        labels={key: string(value) for key, value in mapping(raw.get("Labels")).items()},
    )


def _cache(raw: JsonAnswer) -> CacheEntry:
    return CacheEntry(
        id=string(raw.get("ID")),
        size_bytes=max(0, count(raw.get("Size"))),
        is_in_use=raw.get("InUse") is True,
        is_shared=raw.get("Shared") is True,
        used_at=moment(raw.get("LastUsedAt")) or moment(raw.get("CreatedAt")),
    )


def _names(raw: JsonAnswer, field: str) -> tuple[str, ...]:
    return tuple(sorted(name for name in map(string, sequence(raw.get(field))) if name and name not in _NOTHING))


def _from_epoch(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
