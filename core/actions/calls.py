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
    """State of a call: asked → approved → started → ok | failed | unknown; the other four end it before it starts."""

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
    """A call that it needs did not succeed."""

    @property
    def is_final(self) -> bool:
        """True once the state cannot change any more."""
        return self not in (CallState.ASKED, CallState.APPROVED, CallState.STARTED)


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request to act. The key names the request: submitting the same key again returns what is recorded."""

    key: str
    action: str
    params: JsonObject
    actor: Actor
    incident_id: int | None = None
    plan_hash: str | None = None
    cause: str | None = None
    """The cause that a runbook's plan is for; with the runbook's name and the stack it decides what is proven."""
    attempt: int = 1
    """Number of the incident's plan that this call belongs to, from 1."""
    needs: tuple[str, ...] = ()
    """Keys of calls that must have succeeded before."""
    undo_of: str | None = None
    """Key of the finished call that this one undoes, from its snapshot."""
    retries: int = 0
    retry_wait_s: float = 0.0
    message: Text | None = None
    """One sentence that says what the call will do; None: the action's text `action.<name>`."""
    secret_params: tuple[str, ...] = ()
    """Parameters that are encrypted at rest and never shown; filled in by the gateway."""
    basis: str = ""
    """Digest of the state that the shown preview was based on (`Preview.basis`); empty: no preview was shown."""
    origin: JsonObject = field(default_factory=dict)
    """Destination of the final reply: chat id, message id, language; empty for incidents, whose card shows the end."""

    def shown_params(self) -> dict[str, str | int | float]:
        """Return the parameters that may be shown, for sentences."""
        return {
            name: value
            for name, value in self.params.items()
            if isinstance(value, str | int | float) and name not in self.secret_params
        }


@dataclass(frozen=True, kw_only=True)
class CallRecord:
    """A call as recorded in the ledger."""

    call: Call
    risk: Risk
    """The action's risk, for the budgets."""
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
    """Ledger of all calls and their results. Each method is one transaction."""

    async def get(self, key: str) -> CallRecord | None:
        """Return the record, or None."""
        ...

    async def of_incident(self, incident_id: int) -> list[CallRecord]:
        """Return all calls of an incident, oldest first."""
        ...

    async def insert(self, records: Sequence[CallRecord], approvals: Sequence[Approval] = ()) -> bool:
        """Write new calls and the approvals they wait for, all or nothing; False: one of the keys is known."""
        ...

    async def start(self, key: str, at: datetime, budget: Budget | None) -> StartOutcome:
        """Start an approved call, only once and only while the budget allows it (counted in the same transaction)."""
        ...

    async def put_back(self, key: str) -> None:
        """Mark a started call as approved again and add one to `tries`: for a retry after a certain failure."""
        ...

    async def finish(
        self, key: str, state: CallState, result: Result | None, at: datetime, *, only_from: CallState | None = None
    ) -> bool:
        """Record the end of a call; False: it had ended before (the first end stays), or is not in `only_from`."""
        ...

    async def save_snapshot(self, key: str, snapshot: JsonObject) -> None:
        """Save undo data, encrypted at rest, before the action runs."""
        ...

    async def snapshot(self, key: str) -> JsonObject | None:
        """Return the undo data of a call, or None."""
        ...

    async def unfinished(self) -> list[CallRecord]:
        """Return the calls that are approved or started."""
        ...

    async def dependants(self, key: str) -> list[CallRecord]:
        """Return the calls that need this one."""
        ...

    async def acts_since(self, at: datetime) -> list[OwnAct]:
        """Return the actions started since then, to attribute their effects."""
        ...


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A limit on automation: at most `limit` calls of these risks since `since`, reserved when a call starts."""

    risks: tuple[str, ...]
    stack: str | None
    service: str | None
    """None: the whole stack."""
    since: datetime
    limit: int


class StartOutcome(StrEnum):
    """Answer of `CallLedger.start`."""

    STARTED = "started"
    ALREADY = "already"
    """The call was started before."""
    OVER_BUDGET = "over_budget"
    NOT_APPROVED = "not_approved"


class Approvals(Protocol):
    """Approval requests and their decisions."""

    async def get(self, approval_id: str) -> Approval | None:
        """Return the approval, or None."""
        ...

    async def pending(self) -> list[Approval]:
        """Return all pending ones, oldest first."""
        ...

    async def decide(
        self, approval_id: str, state: ApprovalState, *, by: str, at: datetime, why: str = ""
    ) -> Approval | None:
        """Decide a pending approval, with its calls, in one conditional update; None: it was decided before.

        APPROVED with more confirmations needed only adds one and returns the approval still pending. An overdue one
        becomes EXPIRED instead, and is returned as such.
        """
        ...

    async def expire(self, now: datetime) -> list[Approval]:
        """Expire all that are overdue, and return them."""
        ...


class Locks(Protocol):
    """One call at a time per target, across all workers."""

    def hold(self, target: str, *, wait_s: float) -> AbstractAsyncContextManager[None]:
        """Hold the target's lock; raises TimeLimitExceeded when it is not free within `wait_s`."""
        ...


class PolicyFacts(Protocol):
    """The current facts that the policy decides on."""

    async def load(self, call: Call, target: str | None) -> tuple[Facts, str | None, str | None]:
        """Return the facts, and the stack and service that the target belongs to."""
        ...
