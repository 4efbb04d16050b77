"""The card of a deploy: its progress, result and reason, its changes, and the person who ordered it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo

from core.actions.calls import CallRecord
from core.deployments.deploys import Deploy, DeployKind, DeployPhase
from core.deployments.platform import ManagedKind
from core.durations import clock_time, duration
from core.incidents.incident import Incident
from core.text import Text, text
from core.views.cards import (
    Block,
    ButtonAction,
    ButtonStyle,
    Card,
    CardButton,
    Folded,
    Line,
    Span,
    Tone,
    Words,
    faint,
    line,
    strong,
)

PHASE_TONES = {
    DeployPhase.WAITING: Tone.BUSY,
    DeployPhase.RUNNING: Tone.BUSY,
    DeployPhase.SETTLING: Tone.WATCH,
    DeployPhase.GOOD: Tone.GOOD,
    DeployPhase.FAILED: Tone.BAD,
    DeployPhase.CRASHED: Tone.BAD,
    DeployPhase.CANCELLED: Tone.SKIPPED,
    DeployPhase.NEVER: Tone.BAD,
    DeployPhase.UNKNOWN: Tone.UNKNOWN,
}
TAIL_SHOWN = 6
LAST_LINE_SHOWN = 120
CARD_CHANGES_SHOWN = 6
BY_ITSELF = "deploy"
"""Actor id for automatic rollbacks of a failed rollback or update."""
TAKEN_BACK = frozenset({DeployKind.ROLLBACK, DeployKind.UPDATE})
"""These are undone automatically when they fail, without a question."""
CANCEL = "!cancel"
"""Suffix to a stack's name in /deploy: remove it from the queue."""
BLIND = "deploys.unreachable"
"""Shown for a deploy while the platform does not respond, to explain why its log stands still."""


@dataclass(frozen=True, kw_only=True)
class HealthyCount:
    """Number of services of the stack that are healthy now."""

    well: int
    total: int


@dataclass(frozen=True, kw_only=True)
class DeployView:
    """A deploy with all data for its card."""

    deploy: Deploy
    now: datetime
    zone: tzinfo
    names: Mapping[str, str] = field(default_factory=dict)
    """People's names by actor id."""
    call: CallRecord | None = None
    """The call that ordered it, if it is in the records."""
    services: HealthyCount | None = None
    """None: its containers are not seen from here."""
    changes: Sequence[Text] = ()
    """Differences from the version that ran before."""
    good_from: datetime | None = None
    """First deployment of the version that a rollback returns to."""

    @property
    def ended_by_call(self) -> CallRecord | None:
        """The call, if it ended without a verdict because the order itself failed."""
        if self.call is None or self.deploy.phase.is_over or not self.call.state.is_final:
            return None
        return self.call


def deploy_card(view: DeployView) -> Card:
    """Return the current card; one of a finished deploy never changes any more."""
    deploy, broken = view.deploy, view.ended_by_call
    tone = Tone.BAD if broken else PHASE_TONES[deploy.phase]
    what = text(f"deploy_card.what.{deploy.what}")
    blocks: list[Block] = [line(strong(deploy.stack), " · ", what, tone=tone)]
    if broken is not None:
        message: Words = broken.result.message if broken.result else text(f"call.state.{broken.state}")
        blocks.append(line(message))
    else:
        blocks.append(line(strong(_stands(view))))
        blocks += _more(view)
    blocks += _log(deploy) if broken is None else []
    blocks += _about(view)
    blocks.append(_footer(view))
    return Card(blocks=tuple(blocks), buttons=tuple(_buttons(deploy)) if broken is None else ())


def progress_blocks(deploy: Deploy, now: datetime, services: HealthyCount | None = None) -> tuple[Block, ...]:
    """Return the progress of a deploy, for an incident's card, under the step that ordered it."""
    view = DeployView(deploy=deploy, now=now, zone=now.tzinfo or UTC, services=services)
    told: list[Block] = [line(_stands(view), tone=PHASE_TONES[deploy.phase]), *_more(view), *_log(deploy)]
    return tuple(replace(one, indent=True) if isinstance(one, Line) else one for one in told)


def ordered_by(deploy: Deploy, names: Mapping[str, str] | None = None) -> Words:
    """Return the name of a person or runbook that ordered it, or the sentence for an automatic one."""
    if deploy.requested_by == BY_ITSELF:
        return text("deploy_card.by_itself")
    return (names or {}).get(deploy.requested_by) or deploy.requested_name or "–"


def verdict_line(deploy: Deploy) -> Card:
    """Return the verdict in one line, for whoever waits for it."""
    message = deploy.message
    if message is None or deploy.phase is DeployPhase.GOOD:
        is_back = deploy.phase is DeployPhase.GOOD and deploy.what is DeployKind.ROLLBACK
        message = Text(f"deploy_card.ping.{'good_again' if is_back else deploy.phase}", {"stack": deploy.stack})
    return Card(blocks=(line(message, tone=PHASE_TONES[deploy.phase]),))


def incident_buttons(
    incident: Incident, deploys: Sequence[Deploy], *, is_asked: bool = False
) -> tuple[tuple[CardButton, ...], ...]:
    """Return the buttons under an incident that is related to a deploy, in rows; none under any other.

    `is_asked`: a repair waits for approval, so that a rollback button beside it would only confuse.
    """
    kinds = [alert.kind.traits for alert in incident.alerts]
    if incident.stack is None or not (deploys or any(kind.is_about_deploys for kind in kinds)):
        return ()
    stack, is_bad = incident.stack, any(kind.is_bad_deploy for kind in kinds)
    last = deploys[-1] if deploys else None
    look = [_command("deploylog", text("deploy_card.button.log"), _log_words(stack, last))]
    if is_bad or last is not None:
        look.append(_command("diff", text("deploy_card.button.diff"), stack))
    back = (_command("rollback", text("deploy_card.button.rollback"), stack),)
    return (back, tuple(look)) if is_bad and incident.is_open and not is_asked else (tuple(look),)


# -- pieces ------------------------------------------------------------------------------------------------------------


def _stands(view: DeployView) -> Text:
    """Return the phase in a few words, with its duration."""
    deploy, now = view.deploy, view.now
    phase = deploy.phase
    if phase is DeployPhase.RUNNING:
        return text("deploy_card.running", took=duration(now - (deploy.started_at or deploy.ordered_at)))
    if phase is DeployPhase.SETTLING and deploy.good_since is not None:
        held = min(max((now - deploy.good_since).total_seconds(), 0.0), deploy.window_s)
        return text("deploy_card.settling", held=f"{held:.0f}", window=f"{deploy.window_s:.0f}")
    took = duration((deploy.over_at or now) - deploy.ordered_at)
    if phase is DeployPhase.SETTLING:
        return text("deploy_card.coming_up", took=took)
    if phase is DeployPhase.GOOD and deploy.what is DeployKind.ROLLBACK:
        return text("deploy_card.good_again", took=took)
    return Text(f"deploy_card.{phase}", {"took": took})


def _more(view: DeployView) -> Iterator[Block]:
    """Yield the reason for waiting or the verdict, and the root error if the verdict does not name it."""
    deploy, services = view.deploy, view.services
    if deploy.phase.is_bad and deploy.error_line and not _names(deploy.message, deploy.error_line):
        yield Folded(lines=(deploy.error_line,), is_code=True)
    if deploy.message is not None and (deploy.phase is not DeployPhase.RUNNING or deploy.message.key == BLIND):
        yield from (line(one) for one in _sentences(deploy.message))
    elif deploy.phase is DeployPhase.WAITING and deploy.ahead is not None:
        key = "deploy_card.waiting_at" if deploy.ahead else "deploy_card.waiting_next"
        yield line(Text(key, {"place": deploy.ahead + 1}))
    elif deploy.phase is DeployPhase.SETTLING and services is not None:
        yield line(text("deploy_card.services", well=services.well, total=services.total))


def _sentences(message: Text) -> list[Text]:
    """Split a text made of a first and a second one into its sentences."""
    parts = [message.values.get(name) for name in ("first", "second")]
    found = [one for one in parts if isinstance(one, Text)]
    return (
        [sentence for one in found for sentence in _sentences(one)]
        if found and len(found) == len(message.values)
        else [message]
    )


def _names(message: Text | None, error_line: str) -> bool:
    """Return whether the sentence already contains the error."""
    values = message.values.values() if message is not None else ()
    return any(_names(one, error_line) if isinstance(one, Text) else one == error_line for one in values)


def _log(deploy: Deploy) -> Iterator[Block]:
    """Yield the last log lines while it runs, and after a failure without a known error line."""
    is_telling = deploy.phase is DeployPhase.RUNNING or (deploy.phase is DeployPhase.FAILED and not deploy.error_line)
    if is_telling and deploy.log_tail:
        tail = tuple(one or " " for one in deploy.log_tail[-TAIL_SHOWN:])
        yield line(faint(tail[-1][:LAST_LINE_SHOWN]))  # folded, only the oldest lines would be seen
        yield Folded(heading=text("deploy_card.log"), lines=tail, keep_end=True)


def _about(view: DeployView) -> Iterator[Block]:
    deploy = view.deploy
    if deploy.commit or deploy.commit_message:
        commit = f"{deploy.commit[:7]} " if deploy.commit else ""
        yield line(faint(text("deploy_card.commit")), " ", f"{commit}{_first_line(deploy.commit_message)}".strip())
    if deploy.what is DeployKind.ROLLBACK and view.good_from is not None:
        when = clock_time(view.good_from, view.now, view.zone)
        yield line(faint(text("deploy_card.back_to")), " ", text("deploy_card.version_of", when=when))
    shown = list(view.changes[:CARD_CHANGES_SHOWN])
    if len(shown) == 1:
        yield line(faint(text("deploy_card.changes")), " ", shown[0])
    elif shown:
        yield line(faint(text("deploy_card.changes")))
        yield from (line("• ", one, indent=True) for one in shown)
        if len(view.changes) > CARD_CHANGES_SHOWN:
            yield line(f"+{len(view.changes) - CARD_CHANGES_SHOWN}", indent=True)
    if deploy.why:
        yield line(faint(text("deploy_card.why")), " ", deploy.why)


def _footer(view: DeployView) -> Block:
    deploy = view.deploy
    who = ordered_by(deploy, view.names)
    pieces: list[Words | Span] = [faint(clock_time(deploy.ordered_at, view.now, view.zone)), faint(" · "), faint(who)]
    if deploy.approved_by and deploy.approved_by != deploy.requested_by:
        approver = view.names.get(deploy.approved_by, deploy.approved_by)
        pieces += [faint(" · "), faint(text("call.approved_by", who=approver))]
    pieces += [faint(" · "), faint(deploy.system.capitalize())]
    return line(*pieces)


def _buttons(deploy: Deploy) -> Iterator[tuple[CardButton, ...]]:
    if deploy.phase is DeployPhase.WAITING and deploy.managed_kind is ManagedKind.COMPOSE:
        yield (_command("deploy", text("deploy_card.button.cancel"), f"{deploy.stack} {CANCEL}"),)
    if not deploy.phase.is_over:
        return
    if can_go_back(deploy):
        label = text("deploy_card.button.rollback")
        words = f"{deploy.stack} {deploy.version_before}" if deploy.version_before else deploy.stack
        yield (_command("rollback", label, words, ButtonStyle.DANGER),)
    row = []
    if deploy.deployment_id is not None:
        row.append(_command("deploylog", text("deploy_card.button.log"), _log_words(deploy.stack, deploy)))
    if deploy.version_before is not None and deploy.version_id not in (None, deploy.version_before):
        row.append(_command("diff", text("deploy_card.button.diff"), f"{deploy.stack} {deploy.version_before}"))
    if row:
        yield tuple(row)


def can_go_back(deploy: Deploy) -> bool:
    """Return whether its verdict calls for a rollback and there is a version to return to."""
    if deploy.phase not in (DeployPhase.FAILED, DeployPhase.CRASHED) or deploy.what in TAKEN_BACK:
        return False
    return deploy.version_before is not None or deploy.managed_kind is ManagedKind.APPLICATION


def _command(name: str, label: Words, words: str, weight: ButtonStyle = ButtonStyle.NORMAL) -> CardButton:
    return CardButton(press=ButtonAction.COMMAND, label=label, subject=name, detail=words, weight=weight)


def _log_words(stack: str, deploy: Deploy | None) -> str:
    return f"{stack} {deploy.deployment_id}" if deploy is not None and deploy.deployment_id else stack


def _first_line(message: str) -> str:
    first = message.strip().split("\n")[0]
    return f"{first[:100]}…" if len(first) > 100 else first
