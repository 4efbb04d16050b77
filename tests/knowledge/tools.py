"""What the tests of the records share: a clock, and records to write."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core.actions.approvals import Approval, call_hash
from core.actions.calls import Call, CallRecord, CallState
from core.actions.catalog import Risk, Role
from core.actions.policy import Actor, ActorKind
from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Evidence, Severity
from core.incidents.incident import Decider, Diagnosis, Incident, IncidentState
from core.settings import RetentionSettings
from core.text import text
from knowledge.checkpoints import Checkpoints
from knowledge.cleanup import Cleanup
from knowledge.database import Database

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ADA = Actor(kind=ActorKind.PERSON, id="tg:1", name="Ada", role=Role.ADMIN)
RUNBOOK = Actor(kind=ActorKind.RUNBOOK, id="container_oom", name="container_oom")


class SetClock:
    """A clock that is set by hand."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, **by: float) -> datetime:
        """Move on by days=, hours=, minutes=, seconds=."""
        self.at += timedelta(**by)
        return self.at


class WallClock:
    """The real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


async def until(claim: Callable[[], bool | Awaitable[bool]], within_s: float = 10.0) -> None:
    """Wait until the claim holds; fails when it does not within the time."""
    async with asyncio.timeout(within_s):
        while True:
            held = claim()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.005)


async def cleaned(database: Database, clock: SetClock, table: str) -> int:
    """Clean up by the settings out of the box; how many rows of that table went."""
    checkpoints = Checkpoints(database, Path("nowhere"))
    gone = await Cleanup(database, checkpoints, RetentionSettings(), clock).run()
    await checkpoints.close()
    return gone[table]


def a_call(key: str = "inc-1:p:s:1", actor: Actor = RUNBOOK, incident_id: int | None = 1, **more: object) -> Call:
    values: dict[str, object] = {"cause": "memory_limit", "plan_hash": "p", **more}
    return Call(
        key=key,
        action="docker.restart",
        params={"container": "local/shop-api-1"},
        actor=actor,
        incident_id=incident_id,
        **values,  # type: ignore[arg-type]
    )


def a_record(
    call: Call | None = None,
    state: CallState = CallState.APPROVED,
    *,
    risk: Risk = Risk.DISRUPTIVE,
    approval_id: str | None = None,
    at: datetime = NOON,
    **more: object,
) -> CallRecord:
    values: dict[str, object] = {"stack": "shop", "service": "api", "target": "local/shop-api-1", **more}
    return CallRecord(
        call=call or a_call(),
        risk=risk,
        state=state,
        approval_id=approval_id,
        created_at=at,
        **values,  # type: ignore[arg-type]
    )


def an_approval(approval_id: str = "a1", keys: tuple[str, ...] = ("inc-1:p:s:1",), **more: object) -> Approval:
    values: dict[str, object] = {"expires_at": NOON + timedelta(minutes=30), "incident_id": 1, **more}
    return Approval(
        id=approval_id,
        call_keys=keys,
        call_hash=call_hash([("docker.restart", {})], "p"),
        risk=Risk.DISRUPTIVE,
        role=Role.OPERATOR,
        message=(text("action.docker.restart", container="shop-api-1"),),
        reason=text("policy.not_proven"),
        asked_at=NOON,
        **values,  # type: ignore[arg-type]
    )


def an_alert(at: datetime = NOON, **more: object) -> Alert:
    values: dict[str, object] = {"stack": "shop", "service": "api", "container": "shop-api-1", **more}
    return Alert(
        kind=AlertKind.CONTAINER_DIED,
        severity=Severity.CRITICAL,
        host="local",
        at=at,
        message=text("alert.died", code=137, share=0.5, sure=True, more=text("alert.memory", limit=None)),
        evidence=(
            Evidence(name="exit_code", value=137, at=at, source="inspect local/shop-api-1"),
            Evidence(name="log", value=["línea \x00 one", {"n": 1.5, "t": None}], at=at, source="logs shop-api-1"),
        ),
        **values,  # type: ignore[arg-type]
    )


def an_incident(at: datetime = NOON, **more: object) -> Incident:
    alert = an_alert(at)
    values: dict[str, object] = {"stack": "shop", "service": "api", "alerts": (alert,), **more}
    return Incident(
        state=values.pop("state", IncidentState.DETECTED),  # type: ignore[arg-type]
        severity=Severity.CRITICAL,
        host="local",
        container="shop-api-1",
        message=alert.message,
        kind=alert.kind,
        opened_at=at,
        occurred_at=at,
        updated_at=at,
        diagnosis=Diagnosis(
            cause="memory_limit",
            message=text("cause.memory"),
            culprit="shop/api",
            confidence=1,
            evidence=("exit_code",),
            decided_by=Decider.RULE,
        ),
        **values,  # type: ignore[arg-type]
    )
