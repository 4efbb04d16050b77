"""Gathers evidence from the platform that manages a stack: deployments, versions, compose file, domains."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pydantic import JsonValue

from agent.incident.evidence.findings import EvidenceReader, Findings, ReadResult
from core.actions.catalog import JsonObject
from core.deployments.platform import Deployment, DeployStatus, Domain, ManagedKind, ManagedResource
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, Inventory
from core.monitoring.status import Status, status_of, worst_of

ASK_LIMIT_S = 3.0
"""Limit for the platform's answers, so that a slow platform does not delay the card."""
LOG_TAIL = 100
CLOCK_TOLERANCE = timedelta(seconds=2)
"""Tolerated difference between the platform's clock and the engine's."""
COMMIT_CHARS = 12
NAMES_LIMIT = 20
RECENT_DEPLOYMENT_MIN = 120.0
"""A deployment within these minutes may still be the cause of something missing."""
_FINAL = frozenset(str(one) for one in DeployStatus if one.is_final)
_MIGRATES = re.compile(
    r"running upgrade \S* ?-> ?\S|applying \S{1,80}\.\.\. ?ok|migrat(?:ed|ing):? |applied \d+ migrations?"
    r"|migrations? (?:applied|done|complete|ran|finished|successful)|the following migrations? have been applied",
    re.IGNORECASE,
)
ENVIRONMENT_KEYS = "environment_keys"
_PORT = re.compile(r"(?:^|->|:)(\d{1,5})(?:/tcp)?$")


@dataclass(frozen=True, kw_only=True)
class PlatformEvidence:
    """The platform's view of an incident, for stacks that it manages."""

    managed: ManagedResource
    incident: Incident
    inventory: Inventory

    @classmethod
    def of(cls, incident: Incident, inventory: Inventory) -> PlatformEvidence | None:
        """Return the platform of the incident's stack; None when no platform manages it."""
        managed = inventory.managed_one(incident.stack) if incident.stack else None
        return cls(managed=managed, incident=incident, inventory=inventory) if managed else None

    def known(self) -> dict[str, JsonValue]:
        """Return the evidence that needs no call."""
        is_compose = self.managed.kind is ManagedKind.COMPOSE
        facts: dict[str, JsonValue] = {
            "managed_by": self.managed.system,
            "file_source": (self.managed.source or None) if is_compose else None,
            "platform_status": self.managed.status or None,
        }
        last = self.deployment()
        if last is not None:
            facts |= _of_deployment(last, self.incident.occurred_at)
        return facts | self._of_containers() | self._of_domain()

    def _of_containers(self) -> dict[str, JsonValue]:
        """Count the containers that should run and that do, without jobs that completed."""
        members = [one for one in self.inventory.containers if one.stack == self.managed.name]
        own = [one for one in members if status_of(one) is not Status.FINISHED]
        if self.managed.kind is not ManagedKind.COMPOSE or self.managed.host is None:
            return {}
        return {"containers_running": sum(one.is_running for one in own), "containers_total": len(own)}

    def deployment(self) -> Deployment | None:
        """Return the newest deployment begun before the trouble, or None."""
        until = self.incident.occurred_at + CLOCK_TOLERANCE
        begun = ((one.started_at or one.created_at, one) for one in self.managed.deployments)
        return next((one for at, one in begun if at is not None and at <= until), None)

    async def ask(self, read: EvidenceReader, found: Findings) -> None:
        """Ask the platform for all that matters to this kind of trouble, at once."""
        if self.managed.kind is not ManagedKind.COMPOSE:
            return
        stack = {"stack": self.managed.name}
        wanted: list[tuple[str, dict[str, object]]] = [("versions", {**stack, "limit": 10})]
        last = self.deployment()
        kinds = [alert.kind.traits for alert in self.incident.alerts]
        is_of_a_deploy = any(kind.is_about_deploys for kind in kinds)
        is_of_a_crash = any(kind.can_be_caused for kind in kinds)
        if last is not None:
            wanted.append(("deployments", {**stack, "limit": 5}))
        if is_of_a_deploy and last is not None:
            wanted.append(("deployment_log", {**stack, "deployment_id": last.id, "tail": LOG_TAIL}))
        if is_of_a_deploy or (is_of_a_crash and self._is_recent(last)):
            wanted.append(("unset_variables", dict(stack)))
        if any(kind.is_about_memory for kind in kinds) or self.incident.facts().get("oom_killed"):
            wanted.append(("show", dict(stack)))
        asked = [read.ask(f"dokploy.compose.{name}", params, at_most_s=ASK_LIMIT_S) for name, params in wanted]
        answers = dict(zip((name for name, _ in wanted), await asyncio.gather(*asked), strict=True))
        for name, answer in answers.items():
            if answer.problem:
                found.missing.append(f"{name} of {self.managed.name}: {answer.problem}")
        self._take(answers, found)
        if (is_of_a_deploy or is_of_a_crash) and self._is_of_others(answers, found):
            changes = await read.ask("dokploy.compose.changes", stack, at_most_s=ASK_LIMIT_S)
            found.add({"deploy_changed": _since_good(changes) or None}, f"versions of {self.managed.name}")

    def _is_of_others(self, answers: Mapping[str, ReadResult], found: Findings) -> bool:
        """Return whether somebody else deployed after the last good version; theirs is not kept for comparison."""
        versions, rows = (answers.get(name, ReadResult()).rows(name) for name in ("versions", "deployments"))
        return found.value("good_version") is not None and not _is_kept(rows, versions)

    def _take(self, answers: dict[str, ReadResult], found: Findings) -> None:
        none = ReadResult()
        by = _deployed_by(answers.get("deployments", none), self.deployment())
        found.add({"deploy_by": by}, f"records of {self.managed.name}")
        found.add(self._of_rows(answers.get("deployments", none)), f"deployments of {self.managed.name}")
        found.add(_of_log(answers.get("deployment_log", none)), f"deployment log of {self.managed.name}")
        deployments = answers.get("deployments", none).rows("deployments")
        versions = answers.get("versions", none).rows("versions")
        kept = _is_kept(deployments, versions)
        found.add(self._of_versions(versions, is_running_kept=kept), f"versions of {self.managed.name}")
        unset = _names(answers.get("unset_variables", none).data.get("unset_variables"))
        found.add({"unset_variables": list[JsonValue](unset) or None}, f"compose file of {self.managed.name}")
        shown = answers.get("show", none)  # asked now: the platform's own tree is gone through slowly
        found.add({"file_source": shown.data.get("source") or None}, f"compose file of {self.managed.name}")
        limit = _limit_place(shown, self.incident.service)
        found.add({"memory_limit_in": limit}, f"compose file of {self.managed.name}")

    def _of_rows(self, answer: ReadResult) -> dict[str, JsonValue]:
        """Return the evidence of `known` about the deployment, fresh: the inventory may lag behind its end."""
        until = self.incident.occurred_at + CLOCK_TOLERANCE
        begun = ((_moment(row.get("started_at")), row) for row in answer.rows("deployments"))
        row = next((row for at, row in begun if at is not None and at <= until), None)
        if row is None:
            return {}
        ended = _moment(row.get("finished_at")) if row.get("status") in _FINAL else None
        return {
            "deploy_status": row.get("status") or None,
            "deploy_title": row.get("title") or None,
            "deploy_commit": row.get("commit") or None,
            "deployed_min": _minutes(ended, self.incident.occurred_at) if ended is not None else None,
        }

    def _is_recent(self, last: Deployment | None) -> bool:
        if last is None:
            return False
        ended = last.finished_at or last.started_at or last.created_at
        return ended is not None and self.incident.occurred_at - ended <= timedelta(minutes=RECENT_DEPLOYMENT_MIN)

    def _of_versions(self, versions: Sequence[JsonObject], *, is_running_kept: bool) -> dict[str, JsonValue]:
        """Return the last good version before the running one and the changes since; `versions` is newest first."""
        running = versions[0] if versions and is_running_kept else None
        earlier = versions[1:] if running is not None else versions
        good = next((row for row in earlier if row.get("verdict") == "good"), None)
        if good is None:
            return {}
        facts: dict[str, JsonValue] = {"good_version": good.get("version")}
        if running is not None:
            gone = [
                key for key in _names(good.get(ENVIRONMENT_KEYS)) if key not in _names(running.get(ENVIRONMENT_KEYS))
            ]
            facts["env_keys_removed"] = list[JsonValue](gone) or None
            is_next = earlier[0] is good
            facts["deploy_changed"] = list[JsonValue](_changes(good, running, is_next=is_next)) or None
        return facts | self._of_image(good)

    def _of_image(self, good: JsonObject) -> dict[str, JsonValue]:
        """Compare the running image with the good version's; a reference with a variable proves nothing."""
        own = f"{self.incident.host}/{self.incident.container}"
        container = (
            self.inventory.container(own)
            if self.incident.container
            else container_to_read(self.incident, self.inventory)
        )
        images = good.get("images")
        if container is None or container.created_at is None or not isinstance(images, dict):
            return {}
        before = images.get(container.service)
        if not isinstance(before, str) or "$" in before or _plain(before) == _plain(container.image):
            return {}
        return {"image_changed_min": _minutes(container.created_at, self.incident.occurred_at)}

    def _of_domain(self) -> dict[str, JsonValue]:
        known = self.incident.facts()
        host = known.get("domain")
        if not isinstance(host, str):
            return {}
        port = known.get("domain_port")
        same = [one for one in self.managed.domains if one.host == host]
        domain = next((one for one in same if one.port == port), same[0] if same else None)
        if domain is None:
            return {}
        ports = self._ports(domain)
        return {
            "domain_id": domain.id,
            "domain_certificate": domain.certificate,
            "service_ports": list[JsonValue](ports) or None,
            "service_port": ports[0] if len(ports) == 1 else None,
        }

    def _ports(self, domain: Domain) -> list[int]:
        """Return the ports exposed by its service's containers; a published one by its container port."""
        found: set[int] = set()
        for one in self.inventory.containers:
            if one.stack == self.managed.name and one.service == domain.service:
                found |= {int(match[1]) for port in one.ports if (match := _PORT.search(port))}
        return sorted(found)


def container_to_read(incident: Incident, inventory: Inventory) -> Container | None:
    """Return the container to read logs of when the incident names none: of its service, else the stack's worst."""
    if incident.stack is None or incident.container is not None:
        return None
    members = [one for one in inventory.containers if one.stack == incident.stack]
    own = [one for one in members if one.service == incident.service]
    return worst_of(own or [one for one in members if not status_of(one).is_fine])


def shows_migration(lines: Iterable[str]) -> bool:
    """Return whether a log shows a completed database migration."""
    return any(_MIGRATES.search(line[:500]) for line in lines)


def _of_deployment(last: Deployment, at: datetime) -> dict[str, JsonValue]:
    ended = last.finished_at if last.status.is_final else None
    return {
        "deploy_status": str(last.status),
        "deploy_title": last.title or None,
        "deploy_commit": last.commit[:COMMIT_CHARS] if last.commit else None,
        "deployed_min": _minutes(ended, at) if ended is not None else None,
    }


def _minutes(since: datetime, at: datetime) -> float:
    return round(max((at - since).total_seconds(), 0.0) / 60.0, 1)


def _deployed_by(answer: ReadResult, last: Deployment | None) -> JsonValue:
    row = next((one for one in answer.rows("deployments") if last is not None and one.get("id") == last.id), {})
    return row.get("by") or None


def _of_log(answer: ReadResult) -> dict[str, JsonValue]:
    error, line = answer.data.get("error"), answer.data.get("error_line")
    return {"deploy_error": error or None, "deploy_error_line": line or None}


def _is_kept(deployments: Sequence[JsonObject], versions: Sequence[JsonObject]) -> bool:
    """Return whether the newest kept version is the last deployment: nobody else has deployed since."""
    if not versions or not deployments:
        return bool(versions)
    if deployments[0].get("by") is not None:
        return True
    began, kept = _moment(deployments[0].get("started_at")), _moment(versions[0].get("at"))
    return began is not None and kept is not None and began <= kept


def _moment(value: JsonValue) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _changes(good: JsonObject, running: JsonObject, *, is_next: bool) -> list[str]:
    """List the changes between two versions; consecutive versions of a file in the platform always differ."""
    found = []
    if good.get("commit") != running.get("commit"):
        found.append("commit")
    if good.get("images") != running.get("images"):
        found.append("image")
    if _names(good.get(ENVIRONMENT_KEYS)) != _names(running.get(ENVIRONMENT_KEYS)):
        found.append("environment")
    if not found and is_next and running.get("source") == "raw":
        found.append("settings")
    return found


def _since_good(changes: ReadResult) -> list[JsonValue]:
    """Return another's changes since the last good version; theirs are not kept as versions."""
    names = [changes.data.get(f"environment_{what}") for what in ("added", "removed", "changed")]
    return ["settings"] if changes.data.get("lines") or any(names) else []


def _plain(image: str) -> str:
    """Return an image reference in its short form, with its tag."""
    short = image.partition("@")[0].removeprefix("docker.io/").removeprefix("library/")
    return short if ":" in short.rpartition("/")[2] else f"{short}:latest"


def _limit_place(answer: ReadResult, service: str | None) -> JsonValue:
    row = next((one for one in answer.rows("services") if one.get("service") == service), {})
    return row.get("memory_limit_in") or None


def _names(value: JsonValue) -> Sequence[str]:
    return [str(one) for one in value][:NAMES_LIMIT] if isinstance(value, list) else []


def narrow_to_container(incident: Incident, container: Container) -> Incident:
    """Return the incident of a whole stack as one about a container of it, to read its log and dependencies."""
    return replace(incident, host=container.host, service=container.service, container=container.name)
