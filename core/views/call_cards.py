"""Cards of a person's own requests: progress, approval and result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from core.actions.approvals import Approval, ApprovalState
from core.actions.calls import CallRecord, CallState
from core.durations import clock_time
from core.text import Text, text
from core.views.cards import Block, Card, CardButton, Folded, Tone, Words, faint, line, strong
from core.views.diff_lines import is_diff
from core.views.incident_card import approval_buttons

QUESTIONS_SHOWN = 8
END_TONES = {
    CallState.OK: Tone.GOOD,
    CallState.FAILED: Tone.BAD,
    CallState.UNKNOWN: Tone.UNKNOWN,
    CallState.DENIED: Tone.BAD,
    CallState.EXPIRED: Tone.PERSON,
    CallState.WITHDRAWN: Tone.SKIPPED,
    CallState.SKIPPED: Tone.SKIPPED,
}


def running_card(message: Words, state: CallState) -> Card:
    """Return the card of a call that is running or has ended, with a sign for its state."""
    tone = END_TONES.get(state, Tone.BUSY)
    tail: Words = "" if state.is_final else "…"
    return Card(blocks=(line(message, tail, tone=tone),))


def group_card(records: Sequence[CallRecord]) -> Card:
    """Return the card of several calls that belong together, each with its sign and, after a failure, its reason."""
    blocks: list[Block] = []
    for record in records:
        message: Words = record.call.message or Text(f"action.{record.call.action}")
        tone = END_TONES.get(record.state, Tone.ASK if record.state is CallState.ASKED else Tone.BUSY)
        pieces: list[Words] = [message]
        if record.state.is_final and record.state is not CallState.OK and record.result is not None:
            pieces += [" — ", record.result.message]
        blocks.append(line(*pieces, tone=tone))
    return Card(blocks=tuple(blocks))


def group_end_card(records: Sequence[CallRecord]) -> Card:
    """Return the card of several calls that have ended, in one line."""
    good = sum(record.state is CallState.OK for record in records)
    message = text("call.group_ended", good=good, count=len(records))
    return Card(blocks=(line(message, tone=Tone.GOOD if good == len(records) else Tone.BAD),))


def end_card(record: CallRecord, message: Words, names: Mapping[str, str]) -> Card:
    """Return the card of a call that has ended."""
    if record.result is not None:
        sentence: Words = record.result.message
    elif record.state is CallState.DENIED and record.approved_by is None:
        sentence = text("call.denied", what=message if isinstance(message, Text) else str(message))
    else:
        sentence = text(f"call.ended.{record.state}", what=message if isinstance(message, Text) else str(message))
    blocks: list[Block] = [line(sentence, tone=END_TONES.get(record.state, Tone.BUSY))]
    if record.state is CallState.OK and record.approved_by:
        blocks.append(line(faint(text("call.approved_by", who=names.get(record.approved_by, record.approved_by)))))
    return Card(blocks=tuple(blocks))


def preview_blocks(approval: Approval) -> list[Block]:
    """Return the exact effect of the calls, and the warnings to read before approving."""
    blocks: list[Block] = [line(warning, tone=Tone.WARNING) for warning in approval.warnings]
    if approval.preview:
        blocks.append(Folded(lines=approval.preview, is_code=True, is_diff=is_diff(approval.preview)))
    return blocks


def question_card(approval: Approval, now: datetime, zone: tzinfo, names: Mapping[str, str]) -> Card:
    """Return the card of one approval, pending or decided."""
    is_open = approval.state is ApprovalState.PENDING
    blocks: list[Block] = []
    for message in approval.message:
        risk = text("card.risk_of", risk=text(f"card.risk.{approval.risk}"))
        blocks.append(line(strong(message), faint(risk), tone=Tone.ASK if is_open else None))
    blocks += preview_blocks(approval) if is_open else []
    if not is_open:
        who = names.get(approval.decided_by or "", approval.decided_by or "–")
        tone = Tone.GOOD if approval.state is ApprovalState.APPROVED else Tone.PERSON
        blocks.append(line(text(f"call.question.{approval.state}", who=who), tone=tone))
        if approval.why:
            blocks.append(line(f"“{approval.why}”"))
        return Card(blocks=tuple(blocks))
    blocks.append(line(text("card.asked_because", reason=approval.reason)))
    if approval.confirmed_by:
        who = ", ".join(names.get(one, one) for one in approval.confirmed_by)
        count, needed = len(approval.confirmed_by), approval.confirmations_needed
        blocks.append(line(text("card.confirmed", who=who, count=count, needed=needed), tone=Tone.WARNING))
        key = "card.second_person" if approval.needs_second_person else "card.confirm_again"
        blocks.append(line(strong(text(key))))
    until = clock_time(approval.expires_at, now, zone)
    blocks.append(line(faint(text("call.until", until=until, id=approval.id))))
    return Card(blocks=tuple(blocks), buttons=(approval_buttons(approval),))


def approvals_card(pending: Sequence[Approval]) -> Card:
    """The open questions with their buttons, the oldest first."""
    blocks: list[Block] = [line(strong(text("decide.open", count=len(pending))))]
    rows: list[tuple[CardButton, ...]] = []
    for place, one in enumerate(pending[:QUESTIONS_SHOWN], start=1):
        about = text("card.id", id=one.incident_id) if one.incident_id is not None else ""
        blocks.append(line(f"{place}. ", one.message[0] if one.message else "–", "  ", about))
        rows.append(approval_buttons(one, place))
    return Card(blocks=tuple(blocks), buttons=tuple(rows))
