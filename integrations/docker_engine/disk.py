"""Reads the engine's answer about its disk."""

from __future__ import annotations

from collections.abc import Sequence

from integrations.docker_engine.answers import Answer, count, mapping, sequence, string
from integrations.docker_engine.engine import DiskUsage


def usage_of(raw: Answer) -> DiskUsage:
    """Add up an answer of `/system/df` as `docker system df` does."""
    layers, images = count(raw.get("LayersSize")), _objects(raw, "Images")
    volumes = {
        string(one.get("Name")): _size(mapping(one.get("UsageData")), "Size") for one in _objects(raw, "Volumes")
    }
    return DiskUsage(
        images_bytes=layers,
        images_reclaimable_bytes=max(0, layers - _used(images)),
        build_cache_bytes=sum(_size(one, "Size") for one in _objects(raw, "BuildCache") if not one.get("Shared")),
        containers_bytes=sum(_size(one, "SizeRw") for one in _objects(raw, "Containers")),
        volumes_bytes=sum(volumes.values()),
        volumes=tuple(sorted(volumes.items(), key=lambda pair: -pair[1])),
    )


def _objects(raw: Answer, name: str) -> Sequence[Answer]:
    return [mapping(one) for one in sequence(raw.get(name))]


def _used(images: Sequence[Answer]) -> int:
    """Bytes of images that containers use, what they share with others left out."""
    return sum(_size(one, "Size") - _size(one, "SharedSize") for one in images if count(one.get("Containers")) > 0)


def _size(raw: Answer, name: str) -> int:
    """-1 means not counted."""
    return max(0, count(raw.get(name)))
