"""Composes: look, change, deploy, stop, start."""

from __future__ import annotations

from typing import Literal, Unpack

from integrations.dokploy.client.dokploy_errors import CallFailed
from integrations.dokploy.client.endpoints.update_fields import ComposeChanges, wire
from integrations.dokploy.client.secret_values import Secret, reveal
from integrations.dokploy.client.transport import Patience, Transport
from integrations.dokploy.models import ComposeRow, DeployAccepted


class Composes:
    """Nothing here deletes a compose, and nothing ends the builds of others."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def one(self, compose_id: str) -> ComposeRow:
        """All of it, secrets included, with deployments (unsorted), domains, mounts and backups."""
        return await self._transport.get("compose.one", ComposeRow, {"composeId": compose_id})

    async def update(self, compose_id: str, **changes: Unpack[ComposeChanges]) -> ComposeRow:
        """Write fields; takes effect at the next deploy. Returns the row as it is now."""
        return await self._transport.post("compose.update", ComposeRow, {"composeId": compose_id, **wire(changes)})

    async def save_environment(self, compose_id: str, env: str) -> None:
        """Replace the whole environment; takes effect at the next deploy."""
        await self._transport.order("compose.saveEnvironment", {"composeId": compose_id, "env": env})

    async def deploy(
        self, compose_id: str, *, title: str | None = None, description: str | None = None
    ) -> DeployAccepted:
        """Queue a deployment; answers at once and without an id: note the ids before, and find the new one."""
        return await self._queue("compose.deploy", compose_id, title, description)

    async def redeploy(
        self, compose_id: str, *, title: str | None = None, description: str | None = None
    ) -> DeployAccepted:
        """Queue a deployment without fetching from git. Dokploy notifies nobody of how it ends."""
        return await self._queue("compose.redeploy", compose_id, title, description)

    async def start(self, compose_id: str) -> None:
        """`up -d` with the file left by the last deploy; answers when done, and leaves no deployment behind.

        For the type `stack` it runs nothing and calls that `done`: deploy those.
        """
        await self._transport.order("compose.start", {"composeId": compose_id}, patience=Patience.SLOW)

    async def stop(self, compose_id: str) -> None:
        """Stop its containers (a `stack` is removed); answers when done. Does not wait for a running deploy."""
        await self._transport.order("compose.stop", {"composeId": compose_id}, patience=Patience.SLOW)

    async def services(self, compose_id: str, *, source: Literal["cache", "fetch"] | None = None) -> list[str]:
        """Names of its services, from the file on disk; `fetch` clones or writes that file anew first.

        NotFound: it was never deployed nor fetched.
        """
        patience = Patience.SLOW if source == "fetch" else Patience.QUICK
        params = {"composeId": compose_id, "type": source}
        return await self._transport.get("compose.loadServices", list[str], params, patience=patience)

    async def converted_file(self, compose_id: str) -> Secret[str]:
        """The YAML as it would be deployed, with labels and networks; CallFailed names the line of bad YAML."""
        return await self._transport.get("compose.getConvertedCompose", Secret[str], {"composeId": compose_id})

    async def logs(
        self,
        compose_id: str,
        container_id: str,
        *,
        tail: int | None = None,
        since: str | None = None,
        search: str | None = None,
    ) -> str:
        """A container's log with times; not redacted. `since`: `all` or 10m, 2h …; empty when nothing fits."""
        params = {"composeId": compose_id, "containerId": container_id, "tail": tail, "since": since, "search": search}
        return await log_text(self._transport, "compose.readLogs", params)

    async def clean_queue(self, compose_id: str) -> None:
        """Drop its waiting deployments; the one under way goes on."""
        await self._transport.order("compose.cleanQueues", {"composeId": compose_id})

    async def _queue(
        self, procedure: str, compose_id: str, title: str | None, description: str | None
    ) -> DeployAccepted:
        return await self._transport.post(
            procedure, DeployAccepted, job_body("composeId", compose_id, title, description)
        )


def job_body(id_name: str, service_id: str, title: str | None, description: str | None) -> dict[str, str]:
    """The body of a deploy: only what is given, since Dokploy has its own titles."""
    given = {id_name: service_id, "title": title, "description": description}
    return {name: value for name, value in given.items() if value is not None}


async def log_text(transport: Transport, procedure: str, params: dict[str, str | int | None]) -> str:
    """A log; Dokploy fails (500) when a search finds nothing, and that is an empty log."""
    try:
        return await transport.get(procedure, str, params)
    except CallFailed as failure:
        command, _, said = reveal(failure.detail).strip().partition("\n")
        if params.get("search") and failure.status == 500 and "| grep " in command and not said:
            return ""
        raise
