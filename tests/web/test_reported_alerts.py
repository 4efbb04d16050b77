"""Alerts that another system reports over HTTP, from its first notification to the closed incident, in the program."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
from pydantic import SecretStr

from core.actions.catalog import Role
from core.actions.policy import Actor, ActorKind
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity
from core.incidents.external_alerts import KEY, AlertReport, ExternalAlerts
from core.incidents.incident import Incident, IncidentState
from core.integration import Hook, Integration
from core.settings import PlaygroundSettings, Settings, VerificationSettings, WebSettings
from core.text import text
from infraguardian import INTEGRATIONS, Guardian
from integrations.docker_engine.engine_survey import SIMULATED_HOST
from tests.testbed.world import eventually
from web.hooks import SECRET_HEADER

ADA = Actor(kind=ActorKind.PERSON, id="tg:1", name="Ada", role=Role.ADMIN)
SECRET = "a-secret-of-this-test"
RUNBOOK = """\
name: {en: Reported down, es: Avisan de que no responde}
trigger: {event: unhealthy}
when: [evidence.failing_streak == 3]
cause: reported_down
confidence: 0.99
diagnosis:
  says: {en: It does not answer., es: No responde.}
solutions:
  - name: {en: Restart it, es: Reiniciarlo}
    actions:
      - {id: restart, action: docker.restart, params: {container: "${incident.container}"}}
"""


class Monitor(Integration):
    """An outside system that only reports: `{"id": …, "status": "down" | "up", "service": …, "at": …}`."""

    def hooks(self, alerts: ExternalAlerts) -> Mapping[str, Hook]:
        return {"monitor": alerts.hook("monitor", self.deps.hook_secret("monitor"), _read)}


def _read(body: Mapping[str, object]) -> Iterable[AlertReport]:
    at = datetime.fromisoformat(str(body["at"])) if "at" in body else None
    alert = _alert(str(body["service"])) if body["status"] == "down" else None
    yield AlertReport(id=str(body["id"]), alert=alert, at=at)


def _alert(service: str) -> Alert:
    now = datetime.now(UTC)
    return Alert(
        kind=AlertKind.UNHEALTHY,
        severity=Severity.CRITICAL,
        host=SIMULATED_HOST,
        stack="granada",
        service=service,
        container=f"granada-{service}-1",
        at=now,
        message=text("alert.unhealthy", service=service, streak=3),
        evidence=(Evidence(name="failing_streak", value=3, at=now, source="monitor"),),
    )


def _guardian(home: Path) -> Guardian:
    (home / "runbooks").mkdir(exist_ok=True)
    (home / "runbooks" / "service_unhealthy.yml").write_text(RUNBOOK, encoding="utf-8")
    settings = Settings(
        data_dir=home / "data",
        simulated=True,
        ollama=None,
        runbooks_dir=home / "runbooks",
        web=WebSettings(port=0, hook_secrets={"monitor": SecretStr(SECRET)}),
        playground=PlaygroundSettings(port=0),
        verification=VerificationSettings(window_s=0.3, poll_s=0.1),
    )
    return Guardian(settings, integrations=(*INTEGRATIONS, Monitor))


async def _post(guardian: Guardian, status: str, *, at: datetime | None = None, **more: object) -> int:
    body = {"id": "api http", "service": "api", "status": status, **more}
    body |= {"at": at.isoformat()} if at else {}
    url = f"http://127.0.0.1:{guardian.web.port}/hooks/monitor"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers={SECRET_HEADER: SECRET}) as response,
    ):
        return response.status


async def _incidents(guardian: Guardian) -> list[Incident]:
    return await guardian.knowledge.incidents.recent(10)


async def _one(guardian: Guardian, *states: IncidentState) -> Incident:
    """The only incident, once it is in one of these states."""

    async def found() -> Incident | None:
        known = await _incidents(guardian)
        assert len(known) <= 1
        return known[0] if known and known[0].state in states else None

    result = await eventually(found, 30, what=f"the incident in {states}")
    assert result is not None
    return result


async def test_what_is_reported_down_is_an_incident_and_recovers_when_it_is_reported_up(tmp_path: Path) -> None:
    async with _guardian(tmp_path) as guardian:
        assert await _post(guardian, "down") == 204
        incident = await _one(guardian, IncidentState.NEEDS_APPROVAL)
        assert incident.target == "granada/api"
        assert [alert.reported_by for alert in guardian.watch.firing()] == ["monitor"]

        assert await _post(guardian, "up") == 204
        await _one(guardian, IncidentState.RECOVERED)
        assert not guardian.watch.firing()

        async def nothing_is_asked() -> bool:
            return not await guardian.knowledge.approvals.pending()

        await eventually(nothing_is_asked)


async def test_a_restart_between_down_and_up_loses_neither(tmp_path: Path) -> None:
    async with _guardian(tmp_path) as guardian:
        await _post(guardian, "down")
        before = await _one(guardian, IncidentState.NEEDS_APPROVAL)
    async with _guardian(tmp_path) as guardian:
        fingerprint = before.alerts[0].fingerprint
        assert guardian.watch.is_firing(fingerprint)
        assert guardian.tracker.open_ones()
        await _post(guardian, "up")
        assert (await _one(guardian, IncidentState.RECOVERED)).id == before.id
        assert not guardian.watch.is_firing(fingerprint)


async def test_what_was_reported_up_before_a_restart_is_not_on_after_it(tmp_path: Path) -> None:
    """One of two alerts of an incident had ended; the other keeps the incident open."""
    async with _guardian(tmp_path) as guardian:
        await _post(guardian, "down")
        await _one(guardian, IncidentState.NEEDS_APPROVAL)
        await _post(guardian, "down", id="api tcp")
        await eventually(lambda: len(guardian.watch.firing()) == 2)
        await _post(guardian, "up")
        await eventually(lambda: len(guardian.watch.firing()) == 1)
    async with _guardian(tmp_path) as guardian:
        assert [alert.reported_as for alert in guardian.watch.firing()] == ["monitor/api tcp"]
        await _post(guardian, "up", id="api tcp")
        await _one(guardian, IncidentState.RECOVERED)


async def test_up_that_overtakes_its_down_leaves_nothing_behind(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with _guardian(tmp_path) as guardian:
        await _post(guardian, "up", at=now)
        await _post(guardian, "down", at=now - timedelta(seconds=20))
        await _post(guardian, "down", id="redis", service="redis", at=now)
        await _one(guardian, IncidentState.NEEDS_APPROVAL)
        assert [alert.service for alert in guardian.watch.firing()] == ["redis"]


async def test_the_same_report_a_hundred_times_is_one_incident_that_happened_once(tmp_path: Path) -> None:
    async with _guardian(tmp_path) as guardian:
        at = datetime.now(UTC)
        assert {await _post(guardian, "down", at=at) for _ in range(100)} == {204}
        first = await _one(guardian, IncidentState.NEEDS_APPROVAL)
        for number in range(40):  # the same trouble in other bodies, which the gateway does not know again
            assert await _post(guardian, "down", at=at, number=number) == 204
        await _post(guardian, "up", id="somebody else")
        await eventually(lambda: guardian.knowledge.settings.get(KEY))
        now = await _one(guardian, IncidentState.NEEDS_APPROVAL)
        assert (now.repeats, now.attempt, len(now.alerts)) == (0, first.attempt, 1)


async def test_a_repair_has_worked_when_the_other_system_says_so(tmp_path: Path) -> None:
    async with _guardian(tmp_path) as guardian:
        await _post(guardian, "down")
        incident = await _one(guardian, IncidentState.NEEDS_APPROVAL)
        [approval] = await guardian.knowledge.approvals.pending()
        await guardian.gateway.decide(approval.id, ADA, approve=True)
        await _one(guardian, IncidentState.VERIFYING)
        why = guardian.watch.why_not_quiet(incident.alerts[0].fingerprint, incident.opened_at)
        assert why == text("watch.quiet.reported", source="monitor")

        await _post(guardian, "up")
        done = await _one(guardian, IncidentState.RESOLVED)
        assert done.attempt == 1


async def test_a_repair_has_failed_when_the_other_system_reports_it_down_again(tmp_path: Path) -> None:
    async with _guardian(tmp_path) as guardian:
        guardian.settings = guardian.settings.model_copy(
            update={"verification": VerificationSettings(window_s=20.0, poll_s=0.1)}
        )
        await _post(guardian, "down")
        await _one(guardian, IncidentState.NEEDS_APPROVAL)
        [approval] = await guardian.knowledge.approvals.pending()
        await guardian.gateway.decide(approval.id, ADA, approve=True)
        await _one(guardian, IncidentState.VERIFYING)
        await _post(guardian, "up")
        await eventually(lambda: not guardian.watch.firing())
        await _post(guardian, "down", number=2)
        failed = await _one(guardian, IncidentState.ESCALATED, IncidentState.ROLLED_BACK)
        assert failed.is_open
