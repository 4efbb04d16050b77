"""The card of an incident: problem and target, cause, plan, affected services, state, and buttons."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo

from core.actions.approvals import Approval, ApprovalState
from core.actions.calls import CallRecord, CallState
from core.durations import clock_time, duration
from core.incidents.alerts import Severity
from core.incidents.incident import WITH_A_PERSON, Decider, Incident, IncidentState
from core.people import number_of
from core.text import Text, text
from core.views.cards import (
    Block,
    ButtonAction,
    ButtonStyle,
    Card,
    CardButton,
    Folded,
    Gap,
    Line,
    Span,
    Tone,
    Words,
    about,
    faint,
    line,
    strong,
)
from core.views.diff_lines import is_diff
from core.views.evidence_lines import evidence_blocks, telling_facts

SEVERITY_TONES = {Severity.CRITICAL: Tone.CRITICAL, Severity.WARNING: Tone.WARNING, Severity.INFO: Tone.INFO}
STATE_TONES = {
    IncidentState.DETECTED: Tone.WATCH,
    IncidentState.DIAGNOSING: Tone.WATCH,
    IncidentState.NEEDS_APPROVAL: Tone.ASK,
    IncidentState.ACTING: Tone.BUSY,
    IncidentState.VERIFYING: Tone.WATCH,
    IncidentState.RESOLVED: Tone.GOOD,
    IncidentState.RECOVERED: Tone.GOOD,
    IncidentState.ROLLED_BACK: Tone.UNDONE,
    IncidentState.ESCALATED: Tone.PAGE,
    IncidentState.DENIED: Tone.PERSON,
    IncidentState.EXPIRED: Tone.PERSON,
    IncidentState.ACKNOWLEDGED: Tone.PERSON,
    IncidentState.MERGED: Tone.LINK,
    IncidentState.CLOSED: Tone.PERSON,
}
STEP_TONES = {
    CallState.ASKED: Tone.ASK,
    CallState.APPROVED: Tone.BUSY,
    CallState.STARTED: Tone.BUSY,
    CallState.OK: Tone.GOOD,
    CallState.FAILED: Tone.BAD,
    CallState.UNKNOWN: Tone.UNKNOWN,
}
SAID_BY_ITSELF = frozenset(
    {IncidentState.RESOLVED, IncidentState.RECOVERED, IncidentState.MERGED, IncidentState.CLOSED}
)
"""Final states whose own line makes the outcome's sentence redundant."""
AFFECTED_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class IncidentView:
    """An incident with all data for its card."""

    incident: Incident
    approvals: Sequence[Approval] = ()
    """All recorded approvals of the incident; only the pending ones are asked."""
    calls: Sequence[CallRecord] = ()
    now: datetime
    zone: tzinfo
    names: Mapping[str, str] = field(default_factory=dict)
    """People's names by actor id."""
    under: Mapping[str, Sequence[Block]] = field(default_factory=dict)
    """Blocks below a step while it is under way and after it failed, by its call's key."""
    more_buttons: tuple[tuple[CardButton, ...], ...] = ()

    @property
    def asked(self) -> list[Approval]:
        """The pending approvals, in the order of their steps."""
        order = {key: place for place, key in enumerate(record.call.key for record in self.calls)}
        pending = [one for one in self.approvals if one.state is ApprovalState.PENDING]
        return sorted(pending, key=lambda one: order.get(one.call_keys[0], 0) if one.call_keys else 0)

    def named(self, message: Text) -> Text:
        """Return the sentence with a person's name in place of the id, if it is known."""
        who = message.values.get("who")
        return Text(message.key, {**message.values, "who": self.name(who)}) if isinstance(who, str) else message

    def name(self, actor_id: str | None) -> str:
        """Return a person's name."""
        return self.names.get(actor_id or "", number_of(actor_id or "")) or "–"


def incident_card(view: IncidentView) -> Card:
    """Return the current card; the same records give the same card."""
    blocks: list[Block] = [_title(view.incident), Gap()]
    blocks += _cause(view.incident)
    blocks += _steps(view)
    blocks += _affected(view.incident)
    blocks += _state(view)
    blocks += telling_facts(view.incident)
    blocks.append(_footer(view))
    return Card(blocks=tuple(blocks), buttons=tuple(_buttons(view)))


def full_card(view: IncidentView) -> Card:
    """Return the card with all its evidence and its whole timeline."""
    incident = view.incident
    blocks: list[Block] = [
        _title(incident),
        Gap(),
        *_cause(incident),
        *_steps(view),
        *_affected(incident),
        *_state(view),
    ]
    blocks += evidence_blocks(incident)
    if incident.timeline:
        stamps = (f"{clock_time(entry.at, view.now, view.zone, seconds=True)}" for entry in incident.timeline)
        story = tuple(
            text("card.story", at=at, what=view.named(entry.message))
            for at, entry in zip(stamps, incident.timeline, strict=True)
        )
        blocks.append(Folded(heading=text("card.timeline"), lines=story, keep_end=True))
    blocks.append(_footer(view))
    return Card(blocks=tuple(blocks), buttons=tuple(_buttons(view)))


def why_card(view: IncidentView) -> Card:
    """Return the reasons for the diagnosis: the cause, the model's explanation, and all evidence."""
    incident = view.incident
    title = text("card.why_title", id=incident.id, target=incident.target)
    blocks: list[Block] = [line(strong(title), tone=Tone.WATCH)]
    blocks += _cause(incident) or [line(text("card.no_cause_yet"))]
    if incident.diagnosis and incident.diagnosis.explanation:
        blocks.append(line(incident.diagnosis.explanation))
    for approval in view.asked:
        blocks.append(line(text("card.asked_because", reason=approval.reason), tone=Tone.ASK))
    blocks += evidence_blocks(incident)
    return Card(blocks=tuple(blocks))


def _title(incident: Incident) -> Line:
    tone = SEVERITY_TONES[incident.severity]
    if not incident.is_open:
        tone = STATE_TONES[incident.state]
    return line(about(incident.target, incident.message), tone=tone)


def _cause(incident: Incident) -> list[Block]:
    diagnosis = incident.diagnosis
    if diagnosis is None:
        return []
    by = text(f"card.decided_by.{diagnosis.decided_by}")
    who = text("card.decided", by=by, pct=round(100 * diagnosis.confidence))
    if diagnosis.decided_by is Decider.PERSON:
        who = by
    blocks: list[Block] = [line(strong(text("card.cause")), " ", diagnosis.message, " ", faint(who))]
    if diagnosis.culprit and diagnosis.culprit != incident.target:
        blocks.append(line(strong(text("card.root")), " ", diagnosis.culprit))
    return blocks


def _steps(view: IncidentView) -> Iterator[Block]:
    calls = _present(view.calls)
    label = strong(text(f"card.plan.{_stage(calls)}"))
    places = _places(view)
    steps = [_step(record, places.get(record.call.key)) for record in calls] or [
        line(message, tone=Tone.TODO) for message in view.incident.plan_steps
    ]
    keys = [record.call.key for record in calls] or [""] * len(steps)
    if len(steps) == 1:
        sign = steps[0].tone if calls and calls[0].state not in (CallState.ASKED, CallState.APPROVED) else None
        yield replace(line(label, " ", *steps[0].spans), tone=sign)
        yield from view.under.get(keys[0], ())
    elif steps:
        yield line(label)
        for step, key in zip(steps, keys, strict=True):
            yield step
            yield from view.under.get(key, ())
    approver = next((record.approved_by for record in calls if record.approved_by), None)
    if approver is not None:
        yield line(faint(text("call.approved_by", who=view.name(approver))), indent=True)


def _places(view: IncidentView) -> dict[str, int]:
    """Return the number of each step's button by its call's key; empty if there is only one question."""
    asked = view.asked if len(view.asked) > 1 else ()
    return {key: place for place, approval in enumerate(asked, start=1) for key in approval.call_keys}


def _present(calls: Sequence[CallRecord]) -> list[CallRecord]:
    """Return the calls of the latest plan."""
    last = max((record.call.attempt for record in calls), default=0)
    return [record for record in calls if record.call.attempt == last]


def _stage(calls: Sequence[CallRecord]) -> str:
    """Return the stage of a plan: proposed, under way, done, tried in vain, or never begun."""
    states = {record.state for record in calls}
    if not states or CallState.ASKED in states:
        return "proposed"
    if states & {CallState.APPROVED, CallState.STARTED}:
        return "under_way"
    if states == {CallState.OK}:
        return "done"
    return "tried" if states & {CallState.OK, CallState.FAILED, CallState.UNKNOWN} else "not_done"


def _step(record: CallRecord, place: int | None) -> Line:
    message = record.call.message or Text(f"action.{record.call.action}", dict(record.call.shown_params()))
    spans: list[Words | Span] = [f"{place}. "] if place else []
    spans += [message, faint(text("card.risk_of", risk=text(f"card.risk.{record.risk}")))]
    if record.state in (CallState.FAILED, CallState.UNKNOWN) and record.result is not None:
        spans += [" — ", record.result.message]
    return line(*spans, tone=STEP_TONES.get(record.state, Tone.SKIPPED))


def _affected(incident: Incident) -> Iterator[Block]:
    names = list(incident.diagnosis.affected) if incident.diagnosis else []
    for alert in incident.alerts[1:]:
        title = "/".join(part for part in (alert.stack, alert.service) if part)
        if alert.service is not None and title not in names and title != incident.target:
            names.append(title)
    names = [name for name in names if name != incident.target]
    if names:
        shown = ", ".join(names[:AFFECTED_SHOWN])
        more: Words = f"{shown} +{len(names) - AFFECTED_SHOWN}" if len(names) > AFFECTED_SHOWN else shown
        yield line(strong(text("card.affected")), " ", more)


def _state(view: IncidentView) -> Iterator[Block]:
    incident = view.incident
    values: dict[str, str | int] = {"who": view.name(incident.acknowledged_by), "id": incident.merged_into or 0}
    until = incident.verify_until if incident.state is IncidentState.VERIFYING else None
    if incident.state is IncidentState.NEEDS_APPROVAL and view.asked:
        until = min(one.expires_at for one in view.asked)
    key = f"card.state.{incident.state}"
    if until is not None:
        values["until"] = clock_time(until, view.now, view.zone, seconds=incident.state is IncidentState.VERIFYING)
        key = f"card.state.{incident.state}_until"
    if incident.closed_at is not None:
        values["took"] = duration(incident.closed_at - incident.occurred_at)
    if incident.diagnosis is not None or view.calls or incident.plan_steps:
        yield Gap()
    message = Text(key, dict(values))
    if incident.state is IncidentState.CLOSED and incident.outcome is not None:
        message = incident.outcome
    yield line(strong(message), tone=STATE_TONES[incident.state])
    if incident.outcome is not None and incident.state not in SAID_BY_ITSELF:
        yield line(view.named(incident.outcome))
    for approval in view.asked:
        yield from _question(view, approval)
    decided = [one for one in view.approvals if one.state is ApprovalState.DENIED and one.why]
    if incident.state is IncidentState.DENIED and decided:
        yield line(text("card.denied_why", who=view.name(decided[-1].decided_by), why=decided[-1].why))


def _question(view: IncidentView, approval: Approval) -> Iterator[Block]:
    for warning in approval.warnings:
        yield line(warning, tone=Tone.WARNING)
    if approval.preview:
        yield Folded(lines=approval.preview, is_code=True, is_diff=is_diff(approval.preview))
    if len(view.asked) == 1:
        yield line(text("card.asked_because", reason=approval.reason))
    if approval.confirmed_by:
        who = ", ".join(view.name(actor) for actor in approval.confirmed_by)
        count = len(approval.confirmed_by)
        message = text("card.confirmed", who=who, count=count, needed=approval.confirmations_needed)
        yield line(message, tone=Tone.WARNING)
        key = "card.second_person" if approval.needs_second_person else "card.confirm_again"
        yield line(strong(text(key)))


def _footer(view: IncidentView) -> Line:
    incident = view.incident
    pieces: list[Words | Span] = [faint(text("card.id", id=incident.id)), " · "]
    pieces += [faint(clock_time(incident.occurred_at, view.now, view.zone))]
    if not incident.is_simulated:
        pieces += [" · ", faint(incident.host)]
    if incident.repeats:
        pieces += [" · ", faint(text("card.repeats", count=incident.repeats + 1))]
    if incident.is_flapping:
        pieces += [" · ", faint(text("card.flapping"))]
    if incident.is_simulated:
        pieces += [" · ", strong(text("card.simulated"))]
    return line(*pieces)


def _buttons(view: IncidentView) -> Iterator[tuple[CardButton, ...]]:
    incident, subject = view.incident, str(view.incident.id)
    asked = view.asked if incident.is_open else []
    if len(asked) > 1:
        yield _all_at_once(asked, subject)
    for place, approval in enumerate(asked, start=1):
        yield approval_buttons(approval, place if len(asked) > 1 else None)
    look = [CardButton(press=ButtonAction.WHY, label=text("button.why"), subject=subject)]
    if incident.service is not None:
        look.append(CardButton(press=ButtonAction.LOGS, label=text("button.logs"), subject=subject))
        look.append(CardButton(press=ButtonAction.METRICS, label=text("button.metrics"), subject=subject))
    yield tuple(look)
    yield from view.more_buttons
    if incident.is_open:
        care = [CardButton(press=ButtonAction.SILENCE, label=text("button.silence"), subject=subject)]
        if incident.state is not IncidentState.ACKNOWLEDGED:
            care.append(CardButton(press=ButtonAction.TAKE, label=text("button.take"), subject=subject))
        if incident.state in WITH_A_PERSON:
            care.append(CardButton(press=ButtonAction.CLOSE, label=text("button.close"), subject=subject))
        yield tuple(care)


def _all_at_once(asked: Sequence[Approval], subject: str) -> tuple[CardButton, ...]:
    """Return the buttons for the whole plan; irreversible steps are approved one by one."""
    deny = CardButton(press=ButtonAction.DENY_ALL, label=text("button.deny_all"), subject=subject)
    if any(one.confirmations_needed > 1 for one in asked):
        return (deny,)
    everything = text("button.approve_all", count=len(asked))
    mark = digest_of(asked)
    return (
        CardButton(
            press=ButtonAction.APPROVE_ALL, label=everything, weight=ButtonStyle.SUCCESS, subject=subject, detail=mark
        ),
        deny,
    )


def approval_buttons(approval: Approval, place: int | None = None) -> tuple[CardButton, ...]:
    """Return the approve and deny buttons of one question; a repeated confirmation shows its number."""
    seen = len(approval.confirmed_by)
    if seen:
        label = text("button.confirm", count=seen + 1, needed=approval.confirmations_needed)
        weight = ButtonStyle.DANGER
    else:
        label = text("button.approve") if place is None else text("button.approve_step", place=place)
        usual = ButtonStyle.SUCCESS if place is None else ButtonStyle.NORMAL  # of several, the one for all stands out
        weight = usual if approval.confirmations_needed == 1 else ButtonStyle.DANGER
    no = text("button.deny") if place is None else text("button.deny_step", place=place)
    return (
        CardButton(press=ButtonAction.APPROVE, label=label, weight=weight, subject=approval.id, detail=str(seen)),
        CardButton(press=ButtonAction.DENY, label=no, subject=approval.id),
    )


def digest_of(asked: Sequence[Approval]) -> str:
    """Return eight digits that stand for exactly these approvals: a tap on all of them counts for no others."""
    return hashlib.sha256(" ".join(sorted(one.id for one in asked)).encode()).hexdigest()[:8]
