"""Calls, and the stores that the gateway needs for them: ledger, approvals, locks, facts."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.actions.approvals import Approval, ApprovalState
from core.actions.catalog import JsonObject, Result, Risk
from core.actions.policy import Actor, Facts
from core.monitoring.snapshot import OwnAct
from core.text import Text


class CallState(StrEnum):
    """asked → approved → started → ok | failed | unknown; or it ends before it starts, by the other four."""

    ASKED = "asked"
    APPROVED = "approved"
    STARTED = "started"
    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    SKIPPED = "skipped"
    """What it needed did not work."""

    @property
    def is_final(self) -> bool:
        """Whether it will not change any more."""
        return self not in (CallState.ASKED, CallState.APPROVED, CallState.STARTED)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A wish to act. The key names the wish: the same key is the same wish, however often it is submitted."""

    key: str
    action: str
    params: JsonObject
    actor: Actor
    incident_id: int | None = None
    plan_hash: str | None = None
    cause: str | None = None
    """The cause a runbook's plan is for; with the runbook's name and the stack it decides what is proven."""
    attempt: int = 1
    """Which plan of the incident this belongs to, from 1."""
    needs: tuple[str, ...] = ()
    """Keys of calls that must have worked before."""
    undo_of: str | None = None
    """Key of the finished call that this one takes back, from its snapshot."""
    retries: int = 0
    retry_wait_s: float = 0.0
    says: Text | None = None
    """What it will do, in one line; None: from the action's text `action.<name>`."""
    secret_params: tuple[str, ...] = ()
    """Parameters that are sealed at rest and never shown; the door fills it in."""
    basis: str = ""
    """What the shown preview rested on (`Preview.basis`); empty: none was shown."""
    origin: JsonObject = field(default_factory=dict)
    """Whom to tell about the end: chat id, message id, language; empty for incidents (the card tells)."""

    def shown_params(self) -> dict[str, str | int | float]:
        """Its parameters as far as they may be shown, for sentences."""
        return {
            name: value
            for name, value in self.params.items()
            if isinstance(value, str | int | float) and name not in self.secret_params
        }


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """A call as the ledger holds it."""

    call: Call
    risk: Risk
    """Its action's, for the budgets."""
    state: CallState
    target: str | None
    """Inventory reference, for the lock, the budget and attribution."""
    stack: str | None
    service: str | None
    approval_id: str | None = None
    tries: int = 0
    result: Result | None = None
    approved_by: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class CallLedger(Protocol):
    """Every wish to act and how it ended. Each method is one transaction."""

    async def get(self, key: str) -> CallRecord | None:
        """The record, or None."""
        ...

    async def of_incident(self, incident_id: int) -> list[CallRecord]:
        """All calls of an incident, oldest first."""
        ...

    async def insert(self, records: Sequence[CallRecord], approvals: Sequence[Approval] = ()) -> bool:
        """Write new calls and the approvals they wait for, all or nothing; False: one of the keys is known."""
        ...

    async def start(self, key: str, at: datetime, budget: Budget | None) -> StartOutcome:
        """approved → started, only once, and only while the budget allows (counted in the same transaction)."""
        ...

    async def put_back(self, key: str) -> None:
        """started → approved, adding one to `tries`: for a retry after a failure that is certain."""
        ...

    async def finish(
        self, key: str, state: CallState, result: Result | None, at: datetime, *, only_from: CallState | None = None
    ) -> bool:
        """The end of a call; False: it had ended already (the first end stays), or is not in the state `only_from`."""
        ...

    async def save_snapshot(self, key: str, snapshot: JsonObject) -> None:
        """Undo data, encrypted at rest; written before the action runs."""
        ...

    async def snapshot(self, key: str) -> JsonObject | None:
        """The undo data of a call, or None."""
        ...

    async def unfinished(self) -> list[CallRecord]:
        """Calls that are approved or started."""
        ...

    async def dependants(self, key: str) -> list[CallRecord]:
        """Calls that need this one."""
        ...

    async def acts_since(self, at: datetime) -> list[OwnAct]:
        """What was really started since then, for attribution."""
        ...


@dataclass(frozen=True, kw_only=True)
class Budget:
    """At most `limit` machine-made calls of `risks` on `scope` since `since`; reserved when the call starts."""

    risks: tuple[str, ...]
    stack: str | None
    service: str | None
    """None: the whole stack."""
    since: datetime
    limit: int


class StartOutcome(StrEnum):
    """What `CallLedger.start` found."""

    STARTED = "started"
    ALREADY = "already"
    """Somebody started it before."""
    OVER_BUDGET = "over_budget"
    NOT_APPROVED = "not_approved"


class Approvals(Protocol):
    """The questions to people."""

    async def get(self, approval_id: str) -> Approval | None:
        """The approval, or None."""
        ...

    async def pending(self) -> list[Approval]:
        """All open ones, oldest first."""
        ...

    async def decide(
        self, approval_id: str, state: ApprovalState, *, by: str, at: datetime, why: str = ""
    ) -> Approval | None:
        """Move pending → state in one conditional update, its calls with it; None: it was decided before.

        APPROVED when more confirmations are needed only adds one and returns it still pending. An approval whose
        time is over becomes EXPIRED instead, and is returned so.
        """
        ...

    async def expire(self, now: datetime) -> list[Approval]:
        """Expire all whose time is over; returns them."""
        ...


class Locks(Protocol):
    """One call at a time per target, across every worker."""

    def hold(self, target: str, *, wait_s: float) -> AbstractAsyncContextManager[None]:
        """Hold the target's lock; raises TimeLimitExceeded when it is not free within `wait_s`."""
        ...


class PolicyFacts(Protocol):
    """The facts of the moment, for the policy."""

    async def load(self, call: Call, target: str | None) -> tuple[Facts, str | None, str | None]:
        """Facts, and the stack and the service that the target belongs to."""
        ...
