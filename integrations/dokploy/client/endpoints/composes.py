"""Composes: read, change, deploy, stop, start."""

from __future__ import annotations

from typing import Literal, Unpack

from integrations.dokploy.client.dokploy_errors import CallFailed
from integrations.dokploy.client.endpoints.update_fields import ComposeChanges, to_wire_names
from integrations.dokploy.client.secret_values import Secret, reveal
from integrations.dokploy.client.transport import DokployTransport, RetryLimits
from integrations.dokploy.models import ComposeRow, DeployAccepted


class ComposeEndpoints:
    """Calls about composes; none deletes one or ends the builds of others."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def one(self, compose_id: str) -> ComposeRow:
        """Return all of it, secrets included, with deployments (unsorted), domains, mounts and backups."""
        return await self._transport.get("compose.one", ComposeRow, {"composeId": compose_id})

    async def update(self, compose_id: str, **changes: Unpack[ComposeChanges]) -> ComposeRow:
        """Write fields, which take effect at the next deploy; return the row as it is now."""
        return await self._transport.post(
            "compose.update", ComposeRow, {"composeId": compose_id, **to_wire_names(changes)}
        )

    async def save_environment(self, compose_id: str, env: str) -> None:
        """Replace the whole environment; takes effect at the next deploy."""
        await self._transport.order("compose.saveEnvironment", {"composeId": compose_id, "env": env})

    async def deploy(
        self, compose_id: str, *, title: str | None = None, description: str | None = None
    ) -> DeployAccepted:
        """Queue a deployment; returns at once and without an id: note the ids before, then find the new one."""
        return await self._queue("compose.deploy", compose_id, title, description)

    async def redeploy(
        self, compose_id: str, *, title: str | None = None, description: str | None = None
    ) -> DeployAccepted:
        """Queue a deployment without fetching from git. Dokploy sends no notification of its end."""
        return await self._queue("compose.redeploy", compose_id, title, description)

    async def start(self, compose_id: str) -> None:
        """Run `up -d` with the file of the last deploy; returns when done, and creates no deployment.

        For the type `stack` it runs nothing and reports `done`: deploy those.
        """
        await self._transport.order("compose.start", {"composeId": compose_id}, patience=RetryLimits.SLOW)

    async def stop(self, compose_id: str) -> None:
        """Stop its containers (a `stack` is removed); returns when done. Does not wait for a running deploy."""
        await self._transport.order("compose.stop", {"composeId": compose_id}, patience=RetryLimits.SLOW)

    async def services(self, compose_id: str, *, source: Literal["cache", "fetch"] | None = None) -> list[str]:
        """Return the names of its services from the file on disk; `fetch` clones or writes that file anew first.

        Raises NotFound if it was never deployed or fetched.
        """
        patience = RetryLimits.SLOW if source == "fetch" else RetryLimits.QUICK
        params = {"composeId": compose_id, "type": source}
        return await self._transport.get("compose.loadServices", list[str], params, patience=patience)

    async def converted_file(self, compose_id: str) -> Secret[str]:
        """Return the YAML as it would be deployed, with labels and networks; CallFailed names the line of bad YAML."""
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
        """Return a container's log with times, not redacted. `since`: `all` or 10m, 2h …; empty if nothing matches."""
        params = {"composeId": compose_id, "containerId": container_id, "tail": tail, "since": since, "search": search}
        return await fetch_log(self._transport, "compose.readLogs", params)

    async def clean_queue(self, compose_id: str) -> None:
        """Remove its waiting deployments; the running one continues."""
        await self._transport.order("compose.cleanQueues", {"composeId": compose_id})

    async def _queue(
        self, procedure: str, compose_id: str, title: str | None, description: str | None
    ) -> DeployAccepted:
        return await self._transport.post(
            procedure, DeployAccepted, deploy_body("composeId", compose_id, title, description)
        )


def deploy_body(id_name: str, service_id: str, title: str | None, description: str | None) -> dict[str, str]:
    """Build the body of a deploy from the fields given; Dokploy has its own titles."""
    given = {id_name: service_id, "title": title, "description": description}
    return {name: value for name, value in given.items() if value is not None}


async def fetch_log(transport: DokployTransport, procedure: str, params: dict[str, str | int | None]) -> str:
    """Return a log; Dokploy's error 500 for a search without matches counts as an empty one."""
    try:
        return await transport.get(procedure, str, params)
    except CallFailed as failure:
        command, _, said = reveal(failure.detail).strip().partition("\n")
        if params.get("search") and failure.status == 500 and "| grep " in command and not said:
            return ""
        raise
