"""Domains: their targets, and the check that they resolve."""

from __future__ import annotations

from typing import Unpack

from integrations.dokploy.client.endpoints.update_fields import DomainChanges, to_wire_names
from integrations.dokploy.client.transport import DokployTransport
from integrations.dokploy.models import DomainCheck, DomainRow


class DomainEndpoints:
    """Calls about domains; a compose's domain changes at its next deploy."""

    def __init__(self, transport: DokployTransport) -> None:
        self._transport = transport

    async def of_compose(self, compose_id: str) -> list[DomainRow]:
        """Return the domains of a compose."""
        return await self._transport.get("domain.byComposeId", list[DomainRow], {"composeId": compose_id})

    async def one(self, domain_id: str) -> DomainRow:
        """Return one domain."""
        return await self._transport.get("domain.one", DomainRow, {"domainId": domain_id})

    async def check(self, domain: str, *, server_ip: str | None = None) -> DomainCheck:
        """Check that the name resolves, to `server_ip` if given; changes nothing."""
        body = {"domain": domain} if server_ip is None else {"domain": domain, "serverIp": server_ip}
        return await self._transport.post("domain.validateDomain", DomainCheck, body)

    async def update(self, domain_id: str, host: str, **changes: Unpack[DomainChanges]) -> DomainRow:
        """Change its route, such as the port; `host` stays unless another is given."""
        body = {"domainId": domain_id, "host": host, **to_wire_names(changes)}
        return await self._transport.post("domain.update", DomainRow, body)
