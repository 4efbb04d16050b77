"""Domains: the port each one routes to. The proxy renews certificates itself; Dokploy has no call for that."""

from __future__ import annotations

from datetime import datetime

from core.actions.catalog import JsonObject, Outcome, Preview, Result, Risk, action
from core.errors import NotFound
from core.text import text
from integrations.dokploy.actions.dokploy_deps import DokployToolset, join_names
from integrations.dokploy.actions.stack_params import DomainPortParams
from integrations.dokploy.client.dokploy_errors import AnswerLost
from integrations.dokploy.client.endpoints.update_fields import DomainChanges
from integrations.dokploy.models import DomainRow


class DomainActions(DokployToolset):
    """Changes of domains; they take effect at the stack's next redeploy."""

    system = "dokploy.domain"

    @action(
        Risk.CHANGE,
        snapshot="port_before",
        undo="port_back",
        outcome="has_port",
        preview="port_preview",
        time_limit_s=60.0,
    )
    async def set_port(self, params: DomainPortParams) -> Result:
        """Point a domain at another port of its service, to fix a 502 when the service listens on a different port.

        `redeploy` applies it. dokploy.compose.domains lists the ids.
        """
        domain = await self._domain(params)
        data: JsonObject = {"domain": domain.host, "old_port": domain.port, "new_port": params.port}
        if domain.port == params.port:
            said = text("dokploy.port_same", domain=domain.host, new=params.port)
            return self._result(said, data, outcome=Outcome.NO_DATA)
        await self._write(domain, params.port)
        said = text("dokploy.port_set", stack=params.stack, domain=domain.host, old=domain.port, new=params.port)
        return self._result(said, data, f"domain.update {domain.domain_id}")

    async def port_before(self, params: DomainPortParams) -> JsonObject:
        """Record the current port."""
        return {"port": (await self._domain(params)).port}

    async def port_back(self, params: DomainPortParams, snapshot: JsonObject) -> Result:
        """Restore the previous port."""
        domain = await self._domain(params)
        held = snapshot.get("port")
        old = held if isinstance(held, int) else None
        if domain.port != old:
            await self._write(domain, old)
        said = text("dokploy.port_back", stack=params.stack, domain=domain.host, new=old)
        return self._result(said, {"domain": domain.host, "new_port": old})

    async def has_port(self, params: DomainPortParams, started_at: datetime) -> Outcome:
        """Return OK if the domain routes to that port."""
        return Outcome.OK if (await self._domain(params)).port == params.port else Outcome.FAILED

    async def port_preview(self, params: DomainPortParams) -> Preview:
        """Show the old port and the new one."""
        domain = await self._domain(params)
        lines = (f"@@ {domain.host} → {domain.service_name or '–'}", f"- port: {domain.port}", f"+ port: {params.port}")
        warning = "dokploy.warn.no_change" if domain.port == params.port else "dokploy.warn.port"
        return Preview(lines=lines, warnings=(text(warning),), basis=f"{domain.domain_id}:{domain.port}")

    async def _domain(self, params: DomainPortParams) -> DomainRow:
        managed = self._parts.managed(params.stack)
        known = await self._dokploy.domains.of_compose(managed.id)
        found = next((one for one in known if params.domain_id in (one.domain_id, one.host)), None)
        if found is None:
            names = ", ".join(f"{one.host} ({one.domain_id})" for one in known) or "none"
            hosts = join_names(one.host for one in known)
            raise NotFound(
                f"{managed.name!r} has no domain {params.domain_id!r}; it has {names}",
                message=text("dokploy_error.no_domain", stack=managed.name, domain=params.domain_id, known=hosts),
            )
        return found

    async def _write(self, domain: DomainRow, port: int | None) -> None:
        try:
            await self._dokploy.domains.update(domain.domain_id, domain.host, **_kept(domain, port))
        except AnswerLost:
            if (await self._dokploy.domains.one(domain.domain_id)).port != port:
                raise


def _kept(domain: DomainRow, port: int | None) -> DomainChanges:
    """Return the whole route with another port: fields left out of an update could be reset to their defaults."""
    changes = DomainChanges(port=port, https=domain.https, path=domain.path, service_name=domain.service_name)
    if domain.certificate_type is not None:
        changes["certificate_type"] = domain.certificate_type
    return changes
