"""Parameters of the actions on Docker engines."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from core.actions.catalog import Params
from core.errors import NotFound
from integrations.docker_engine.actions.prune_selection import PruneTarget
from integrations.docker_engine.image_references import parse_image_reference

_SPAN = re.compile(r"(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s?)?")
MIN_LIMIT_MB = 6
"""Lowest limit an engine accepts. https://docs.docker.com/engine/containers/resource_constraints/"""

ContainerReference = Annotated[
    str, Field(min_length=1, max_length=300, description="host/name, or a name that is unique")
]
OptionalHost = Annotated[str | None, Field(max_length=200, description="host name; optional if there is only one")]
HostFilter = Annotated[str | None, Field(max_length=200, description="host name; none: all hosts")]


class ContainerParams(Params):
    """One container."""

    container: ContainerReference

    def target(self) -> str:
        """Return the reference as given."""
        return self.container


class ListParams(Params):
    """Filter for a list of containers."""

    host: HostFilter = None
    stack: Annotated[str | None, Field(description="only this Compose project")] = None
    running_only: bool = False


class LogsParams(ContainerParams):
    """Filter for the lines of a log."""

    tail: Annotated[int, Field(ge=1, le=2000, description="how many of the last lines, counted after grep")] = 100
    since: Annotated[str | None, Field(description="a span like 2h, 30m or 1d, or an ISO time")] = None
    until: Annotated[str | None, Field(description="a span before now, or an ISO time")] = None
    grep: Annotated[str | None, Field(max_length=200, description="only lines with this text, in any case")] = None

    @field_validator("since", "until")
    @classmethod
    def _is_readable(cls, value: str | None) -> str | None:
        if value is not None:
            parse_point_in_time(value, datetime.now(UTC))
        return value


class StatsParams(Params):
    """Containers to measure: one, all on one host, or all."""

    container: Annotated[str | None, Field(description="host/name or name; none: all containers")] = None
    host: HostFilter = None

    def target(self) -> str | None:
        """Return the container, if one is named."""
        return self.container


class DiskParams(Params):
    """Host to examine."""

    host: OptionalHost = None

    def target(self) -> str | None:
        """Return None: nothing needs a lock."""
        return None


class ImagesParams(Params):
    """Hosts whose images to list."""

    host: HostFilter = None


class UpdatesParams(Params):
    """Running containers to check for newer images."""

    stack: Annotated[str | None, Field(max_length=200, description="only this stack")] = None
    service: Annotated[str | None, Field(max_length=200, description="only this service")] = None
    host: HostFilter = None
    fresh: Annotated[bool, Field(description="ask the registries again, even if the answer is remembered")] = False


class PullParams(Params):
    """An image by name."""

    image: Annotated[str, Field(min_length=1, max_length=400, description="as in shop/api:1.2; no tag: latest")]
    host: OptionalHost = None

    @field_validator("image")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        try:
            return parse_image_reference(value).full
        except NotFound as error:
            raise ValueError(str(error)) from error


class PruneParams(Params):
    """Things to remove."""

    host: OptionalHost = None
    parts: Annotated[list[PruneTarget] | None, Field(min_length=1, description="none: all of them")] = None
    older_than_h: Annotated[
        float | None, Field(ge=0, le=24 * 365, description="none: a day; a week for images with a name")
    ] = None
    label: Annotated[
        str | None,
        Field(max_length=200, description="only items with this label (name or name=value); not the build cache"),
    ] = None

    def target(self) -> str | None:
        """Return None: no target in the inventory."""
        return None


class PortsParams(Params):
    """Hosts whose ports to list."""

    host: HostFilter = None


class ExecParams(ContainerParams):
    """A command as a list of words; there is no shell: no pipes, no variables, no wildcards."""

    argv: Annotated[list[str], Field(min_length=1, max_length=100)]
    time_limit_s: Annotated[float, Field(gt=0, le=100)] = 30.0


class StopParams(ContainerParams):
    """A container and the time it may take to stop by itself."""

    grace_s: Annotated[int, Field(ge=0, le=60, description="seconds between SIGTERM and SIGKILL")] = 10


class MemoryParams(ContainerParams):
    """New memory limit: in MB, or as a multiple of the present one."""

    limit_mb: Annotated[int | None, Field(ge=MIN_LIMIT_MB)] = None
    factor: Annotated[float | None, Field(gt=0, le=16)] = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.limit_mb is None) == (self.factor is None):
            raise ValueError("give either limit_mb or factor")
        return self


def parse_point_in_time(text: str, now: datetime) -> datetime:
    """Return the time for `2h`, `1d12h`, `90s`, `90` or an ISO time; raises ValueError saying what is expected."""
    match = _SPAN.fullmatch(text.strip().lower())
    if match is not None and any(match.groups()):
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return now - timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is neither a span like 2h or 30m nor an ISO time") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
