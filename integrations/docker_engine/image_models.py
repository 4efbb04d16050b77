"""Turns an engine's answers about images, build cache and networks into models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from integrations.docker_engine.client.json_fields import (
    JsonAnswer,
    json_int,
    json_list,
    json_object,
    json_string,
    json_time,
)
from integrations.docker_engine.image_store import BuildCacheEntry, Image, Network, StoredSpace

_NOTHING = ("<none>:<none>", "<none>@<none>")

ContainersByImage = Mapping[str, Sequence[str]]
"""Image id → container names."""


def containers_by_image(listed: object) -> dict[str, list[str]]:
    """Read an answer of `/containers/json?all=1`: image id → container names."""
    users: dict[str, list[str]] = {}
    for one in map(json_object, json_list(listed)):
        names = [json_string(name).removeprefix("/") for name in json_list(one.get("Names"))]
        users.setdefault(json_string(one.get("ImageID")), []).append(
            names[0] if names else json_string(one.get("Id"))[:12]
        )
    return users


def parse_image(host: str, raw: JsonAnswer, users: ContainersByImage) -> Image:
    """Read one entry of `/images/json`, `/system/df` or an answer of `/images/<name>/json`."""
    found, shared = json_string(raw.get("Id")), json_int(raw.get("SharedSize"))
    size = max(0, json_int(raw.get("Size")))
    created = raw.get("Created")
    labels = json_object(raw.get("Labels")) or json_object(json_object(raw.get("Config")).get("Labels"))
    return Image(
        host=host,
        id=found,
        tags=_names(raw, "RepoTags"),
        digests=_names(raw, "RepoDigests"),
        size_bytes=size,
        unique_bytes=max(0, size - shared) if "SharedSize" in raw and shared >= 0 else None,
        created_at=_from_epoch(created) if isinstance(created, int | float) else json_time(created),
        named_at=json_time(json_object(raw.get("Metadata")).get("LastTagTime")),
        used_by=tuple(sorted(users.get(found, ()))),
        labels={key: json_string(value) for key, value in labels.items()},
    )


def parse_stored_space(host: str, raw: JsonAnswer, users: ContainersByImage) -> StoredSpace:
    """Read an answer of `/system/df`."""
    return StoredSpace(
        layers_bytes=json_int(raw.get("LayersSize")),
        images=tuple(parse_image(host, json_object(one), users) for one in json_list(raw.get("Images"))),
        cache=tuple(_cache(json_object(one)) for one in json_list(raw.get("BuildCache"))),
    )


def parse_network(raw: JsonAnswer) -> Network:
    """Read one entry of `/networks`."""
    return Network(
        id=json_string(raw.get("Id")),
        name=json_string(raw.get("Name")),
        is_local=json_string(raw.get("Scope")) == "local" and raw.get("Ingress") is not True,
        created_at=json_time(raw.get("Created")),
        labels={key: json_string(value) for key, value in json_object(raw.get("Labels")).items()},
    )


def _cache(raw: JsonAnswer) -> BuildCacheEntry:
    return BuildCacheEntry(
        id=json_string(raw.get("ID")),
        size_bytes=max(0, json_int(raw.get("Size"))),
        is_in_use=raw.get("InUse") is True,
        is_shared=raw.get("Shared") is True,
        used_at=json_time(raw.get("LastUsedAt")) or json_time(raw.get("CreatedAt")),
    )


def _names(raw: JsonAnswer, field: str) -> tuple[str, ...]:
    return tuple(sorted(name for name in map(json_string, json_list(raw.get(field))) if name and name not in _NOTHING))


def _from_epoch(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds > 0 else None
