"""Reads the engine's answer about its disk, and measures log files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from integrations.docker_engine.client.json_fields import JsonAnswer, json_int, json_list, json_object, json_string
from integrations.docker_engine.engine import DiskUsage


def parse_disk_usage(raw: JsonAnswer) -> DiskUsage:
    """Add up an answer of `/system/df` as `docker system df` does."""
    layers, images = json_int(raw.get("LayersSize")), _objects(raw, "Images")
    volumes = {
        json_string(one.get("Name")): _size(json_object(one.get("UsageData")), "Size")
        for one in _objects(raw, "Volumes")
    }
    cache = _objects(raw, "BuildCache")
    return DiskUsage(
        images_bytes=layers,
        images_reclaimable_bytes=max(0, layers - _used(images)),
        build_cache_bytes=sum(_size(one, "Size") for one in cache if not one.get("Shared")),
        build_cache_reclaimable_bytes=sum(
            _size(one, "Size") for one in cache if not one.get("Shared") and not one.get("InUse")
        ),
        containers_bytes=sum(_size(one, "SizeRw") for one in _objects(raw, "Containers")),
        volumes_bytes=sum(volumes.values()),
        volumes=tuple(sorted(volumes.items(), key=lambda pair: -pair[1])),
    )


def measure_log_files(files: Mapping[str, str]) -> tuple[tuple[str, int], ...] | None:
    """Return the size of each container's log files, rotated ones too, largest first; None: none can be read. Blocks.

    `files`: container → `LogPath` of its inspect; empty where its log driver writes none.
    """
    sizes = {name: _size_of(Path(path)) for name, path in files.items() if path}
    readable = {name: size for name, size in sizes.items() if size is not None}
    if sizes and not readable:
        return None
    return tuple(sorted(readable.items(), key=lambda pair: -pair[1]))


def _size_of(log: Path) -> int | None:
    """Return its size with `…-json.log.1` and so on; None: it cannot be read."""
    try:
        with os.scandir(log.parent) as entries:
            found = [one.stat().st_size for one in entries if one.name.startswith(log.name)]
    except OSError:
        return None
    return sum(found) if found else None


def _objects(raw: JsonAnswer, name: str) -> Sequence[JsonAnswer]:
    return [json_object(one) for one in json_list(raw.get(name))]


def _used(images: Sequence[JsonAnswer]) -> int:
    """Return the bytes of images that containers use, shared bytes left out."""
    return sum(_size(one, "Size") - _size(one, "SharedSize") for one in images if json_int(one.get("Containers")) > 0)


def _size(raw: JsonAnswer, name: str) -> int:
    """Return the size; -1 in the answer means not counted."""
    return max(0, json_int(raw.get(name)))
