"""New rows as Dokploy makes them: the columns and their first values are those that were recorded."""

from __future__ import annotations

import copy
import json
import secrets
import string
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).resolve().parents[2] / "integrations" / "dokploy" / "recordings"
ID_LETTERS = string.ascii_letters + string.digits + "_-"
SUFFIX_LETTERS = string.ascii_lowercase + string.digits
Row = dict[str, Any]


@cache
def _recorded(name: str) -> str:
    raw = json.loads((RECORDINGS / f"{name}.json").read_text(encoding="utf-8"))
    return json.dumps(raw["response"]["body"])


def recorded(name: str) -> Any:
    """The body of a recorded answer, a copy of one's own."""
    return json.loads(_recorded(name))


def new_id() -> str:
    """A nanoid: 21 letters."""
    return "".join(secrets.choice(ID_LETTERS) for _ in range(21))


def suffixed(name: str) -> str:
    """An appName: what was asked for and six letters."""
    return f"{name}-{''.join(secrets.choice(SUFFIX_LETTERS) for _ in range(6))}"


def now() -> str:
    """`2026-11-20T12:24:06.206Z`"""
    return iso(datetime.now(UTC))


def iso(moment: datetime) -> str:
    """With milliseconds and a Z, as JavaScript writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def blank(recording: str, /, **values: Any) -> Row:
    """A recorded row with a new time of creation, these values and nothing else that was the laboratory's."""
    row: Row = recorded(recording)
    row.update({"createdAt": now(), "description": None, "env": None} | values)
    return {column: value for column, value in row.items() if column in recorded(recording)}


def compose_row(**values: Any) -> Row:
    """A compose that was never deployed."""
    first = {"composeId": new_id(), "composeFile": "", "refreshToken": secrets.token_urlsafe(15), "serverId": None}
    return blank("compose.create", **(first | values))


def application_row(**values: Any) -> Row:
    """An application that was never deployed."""
    return blank("application.create", **({"applicationId": new_id(), "refreshToken": new_id()} | values))


def database_row(kind: str, /, **values: Any) -> Row:
    """A database that was never deployed; the columns of the recorded kind, with this kind's id."""
    row = blank("postgres.create", **values)
    row.pop("postgresId", None)
    return {f"{kind}Id": new_id(), **row}


def deployment_row(**values: Any) -> Row:
    """A deployment that has just begun."""
    (row,) = recorded("deployment.allByCompose")
    started = now()
    first = {
        "deploymentId": new_id(),
        "description": "",
        "status": "running",
        "composeId": None,
        "createdAt": started,
        "startedAt": started,
        "finishedAt": None,
    }
    return {**row, **first, **values}


def domain_row(**values: Any) -> Row:
    """A domain."""
    row: Row = recorded("domain.create-compose")
    first = {"domainId": new_id(), "createdAt": now(), "composeId": None, "serviceName": None}
    known = {column: value for column, value in values.items() if column in row}
    return {**row, **first, **known}


def notification_row(**values: Any) -> Row:
    """A custom channel."""
    (row,) = recorded("notification.all")
    return {**row, "notificationId": new_id(), "createdAt": now(), **values}


def copied(row: Row) -> Row:
    """A copy that later changes do not reach."""
    return copy.deepcopy(row)
