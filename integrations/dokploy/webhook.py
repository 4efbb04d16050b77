"""Parses Dokploy's custom notifications: the event and its service, never its error text."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import SecretStr

from core.deployments.platform import ManagedKind

NAME_LIMIT = 200
ACCEPTED_YEARS = range(2000, 2200)
"""Years accepted: a time outside cannot be shown in every time zone."""


class NoticeKind(StrEnum):
    """Kind of notification, told by its title: the field `type` has a different meaning in each."""

    BUILD = "build"
    DATABASE_BACKUP = "database_backup"
    VOLUME_BACKUP = "volume_backup"
    OWN_BACKUP = "own_backup"
    """Backup of Dokploy itself."""
    RESTARTED = "restarted"
    CLEANUP = "cleanup"
    SERVER_LOAD = "server_load"
    TEST = "test"


@dataclass(frozen=True, kw_only=True)
class DokployNotice:
    """Notification without its free texts, which hold the failing script and its environment."""

    kind: NoticeKind
    is_failure: bool = False
    at: datetime | None = None
    managed_id: str | None = None
    """Id of the compose or application of a build; None for others, which only have names."""
    managed_kind: ManagedKind | None = None
    project_id: str | None = None
    project: str = ""
    name: str = ""
    """Name of the service in Dokploy."""


_TITLES: tuple[tuple[str, NoticeKind], ...] = (
    ("Build ", NoticeKind.BUILD),
    ("Database Backup ", NoticeKind.DATABASE_BACKUP),
    ("Volume Backup ", NoticeKind.VOLUME_BACKUP),
    ("Dokploy Backup ", NoticeKind.OWN_BACKUP),
    ("Dokploy Server Restarted", NoticeKind.RESTARTED),
    ("Docker Cleanup", NoticeKind.CLEANUP),
    ("Server CPU Alert", NoticeKind.SERVER_LOAD),
    ("Server Memory Alert", NoticeKind.SERVER_LOAD),
    ("Test Notification", NoticeKind.TEST),
)
_ID = r"([A-Za-z0-9_-]{6,40})"
_PROJECT = re.compile(rf"/project/{_ID}(?:/|$)")
_SERVICE = re.compile(rf"/services/(compose|application)/{_ID}(?:[/?#]|$)")
LINK_LIMIT = 1000


def parse_notice(body: Mapping[str, object]) -> DokployNotice | None:
    """Parse a notification; None if it is not one that Dokploy is known to send."""
    title = _word(body, "title")
    kind = next((kind for begins, kind in _TITLES if title.startswith(begins)), None)
    if kind is None and _word(body, "alertType") == "server-threshold":
        kind = NoticeKind.SERVER_LOAD
    if kind is None:
        return None
    link = _word(body, "buildLink", LINK_LIMIT)
    service, project = _SERVICE.search(link), _PROJECT.search(link)
    return DokployNotice(
        kind=kind,
        is_failure=_word(body, "status") == "error" or title.endswith((" Error", " Failed")),
        at=_moment(_word(body, "timestamp")),
        managed_id=service.group(2) if service else None,
        managed_kind=ManagedKind(service.group(1)) if service else None,
        project_id=project.group(1) if project else None,
        project=_word(body, "projectName"),
        name=_word(body, "applicationName"),
    )


def _word(body: Mapping[str, object], name: str, limit: int = NAME_LIMIT) -> str:
    value = body.get(name)
    return " ".join(value[: limit * 2].split())[:limit] if isinstance(value, str) else ""


def _moment(value: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)) if at.year in ACCEPTED_YEARS else None


class DokployWebhook:
    """Receiver of the notifications at `/hooks/dokploy` (`core.integration.Hook`)."""

    def __init__(
        self,
        secret: SecretStr | None,
        announce: Callable[[DokployNotice], Awaitable[None]],
        look: Callable[[], None],
    ) -> None:
        """Take `announce` (`DokploySource.announce`) and `look`, which makes the watcher look now."""
        self.secret = secret.get_secret_value() if secret else None
        self._announce = announce
        self._look = look

    async def take(self, body: Mapping[str, object]) -> None:
        """Pass the notification on; one that cannot be parsed is dropped."""
        notice = parse_notice(body)
        if notice is None:
            return
        await self._announce(notice)
        self._look()
