"""domain.*"""

from __future__ import annotations

from tests.standins.dokploy.calls import Call, Catalogue, may, needs
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import find, pick

catalogue = Catalogue()


@catalogue.get("domain.byComposeId", needs("composeId"), service="composeId")
async def of_compose(stage: Stage, call: Call) -> list[Row]:
    compose = stage.state.compose(call["composeId"])
    brief = pick(compose, "composeId", "appName", "name")
    return [{**row, "compose": brief} for row in stage.state.domains_of(compose["composeId"])]


@catalogue.get("domain.byApplicationId", needs("applicationId"), service="applicationId")
async def of_application(stage: Stage, call: Call) -> list[Row]:
    row = stage.state.application(call["applicationId"])
    brief = pick(row, "applicationId", "appName", "name")
    found = [one for one in stage.state.domains.values() if one["applicationId"] == row["applicationId"]]
    return [{**one, "application": brief} for one in found]


@catalogue.get("domain.one", needs("domainId"))
async def one(stage: Stage, call: Call) -> Row:
    return find(stage.state.domains, call["domainId"], "Domain")


@catalogue.post("domain.create", needs("host"), takes_all=True)
async def create(stage: Stage, call: Call) -> Row:
    """Takes effect at the next deploy of a compose."""
    return stage.state.add_domain(**call.params)


@catalogue.post("domain.update", needs("domainId"), needs("host"), takes_all=True)
async def update(stage: Stage, call: Call) -> Row:
    row = find(stage.state.domains, call["domainId"], "Domain")
    row.update({name: value for name, value in call.params.items() if name in row and name != "createdAt"})
    return row


@catalogue.post("domain.delete", needs("domainId"))
async def delete(stage: Stage, call: Call) -> Row:
    find(stage.state.domains, call["domainId"], "Domain")
    return stage.state.domains.pop(call["domainId"])


@catalogue.post("domain.validateDomain", needs("domain"), may("serverIp"))
async def validate(stage: Stage, call: Call) -> Row:
    """The tests' net has no name server: what `resolve` was not told of is unknown."""
    address = stage.addresses.get(call["domain"])
    if address is None:
        return {"isValid": False, "error": f"queryA ENOTFOUND {call['domain']}"}
    wanted = call["serverIp"]
    if wanted is not None and wanted != address:
        error = f"Domain resolves to {address} but should point to {wanted}"
        return {"isValid": False, "resolvedIp": address, "error": error}
    return {"isValid": True, "resolvedIp": address}
