"""Approvals: a person's permission for exact calls, valid once and for a limited time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import JsonValue

from core.actions.catalog import Risk, Role
from core.text import Text


class ApprovalState(StrEnum):
    """State of an approval: pending → one of the others; the first change wins."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
    """No longer needed: the alert cleared, the plan changed, or a person took over."""


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A request for people's approval. Its `call_hash` fixes the exact calls and plan it is for."""

    id: str
    """Short and unguessable; travels in button payloads."""
    call_keys: tuple[str, ...]
    call_hash: str
    risk: Risk
    role: Role
    """Lowest role that may decide."""
    message: tuple[Text, ...]
    """The actions to be approved, one sentence a call."""
    reason: Text
    """The reason why approval is required."""
    state: ApprovalState = ApprovalState.PENDING
    asked_at: datetime
    expires_at: datetime
    incident_id: int | None = None
    stack: str | None = None
    asked_by: str = ""
    """Actor id of the requester."""
    confirmations_needed: int = 1
    confirmed_by: tuple[str, ...] = ()
    """Actor ids, in order; one person may confirm twice unless `needs_second_person`."""
    needs_second_person: bool = False
    decided_by: str | None = None
    decided_at: datetime | None = None
    why: str = ""
    preview: tuple[str, ...] = ()
    """Exact effect of the action (`Preview.lines`)."""
    warnings: tuple[Text, ...] = ()


def call_hash(calls: Sequence[tuple[str, dict[str, JsonValue]]], plan_hash: str | None = None) -> str:
    """Return a fingerprint of exact calls (action, parameters) and their plan: 32 hexadecimal digits."""
    exact = json.dumps([plan_hash, [[name, params] for name, params in calls]], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(exact.encode()).hexdigest()[:32]
