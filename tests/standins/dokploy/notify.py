"""Dokploy's custom notifications: one POST, no signature, no second try."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp

from tests.standins.dokploy.rows import Row, iso
from tests.standins.dokploy.state import State

LIMIT_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Posted:
    """What was sent, and what became of it: a status, or None when nobody answered."""

    endpoint: str
    body: Row
    status: int | None


@dataclass(kw_only=True)
class Notifier:
    """Posts to every custom channel whose switch is on."""

    state: State
    posted: list[Posted] = field(default_factory=list)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def tell(self, switch: str, title: str, **more: Any) -> None:
        """Post to those who want it, without waiting for them."""
        for row in self.state.notifications.values():
            if row[switch] and row["custom"]:
                self._start(row["custom"], body(title, **more))

    def _start(self, channel: Row, text: Row) -> None:
        task = asyncio.get_running_loop().create_task(self._post_quietly(channel, text))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _post_quietly(self, channel: Row, text: Row) -> None:
        try:
            await self.post(channel["endpoint"], channel["headers"] or {}, text)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return  # a failure is only logged, and nobody is told

    async def post(self, endpoint: str, headers: dict[str, str], text: Row) -> None:
        """Post once; raises when nobody answers, as the test of a channel shows."""
        status = None
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LIMIT_S)) as session,
                session.post(endpoint, json=text, headers={**headers, "user-agent": "node"}) as answer,
            ):
                status = answer.status
        finally:
            self.posted.append(Posted(endpoint=endpoint, body=text, status=status))

    async def close(self) -> None:
        """End what is still under way."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


def body(title: str, **more: Any) -> Row:
    """With the common fields; those after `timestamp` in Dokploy's order come from `more`."""
    moment = datetime.now(UTC)
    shown = moment.strftime("%m/%d/%Y, %I:%M:%S %p").lstrip("0").replace(", 0", ", ").replace("/0", "/")
    stamps = {} if title == "Test Notification" else {"date": shown}
    return {"title": title, **more, "timestamp": iso(moment), **stamps}


def build_body(state: State, row: Row, url: str, **more: Any) -> Row:
    """Of a deployment's end; the only id is in the link."""
    project, kind = state.project_of(row), "compose" if "composeId" in row else "application"
    path = f"project/{project['projectId']}/environment/{row['environmentId']}/services/{kind}/{row[f'{kind}Id']}"
    return {
        "projectName": project["name"],
        "applicationName": row["name"],
        "applicationType": kind,
        "buildLink": f"{url}/dashboard/{path}?tab=deployments",
        "type": "build",
        **more,
    }
