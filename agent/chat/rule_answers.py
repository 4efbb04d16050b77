"""Answers common questions without a model: by a read-only command, a proposal, or a sentence."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from agent.chat import status_sentences
from agent.chat.chat_deps import QuestionContext
from agent.chat.conversation import AnswerMessage, AnswerPart, ProposeCommand, RunCommand
from agent.chat.deployment_answers import deployment_sentences
from agent.chat.intents import CHANGE_INTENTS, Intent, Interpretation, fold_text
from agent.chat.recent_changes import changes_sentence
from agent.chat.usage import heaviest_usage, usage_sentences
from core.errors import closest
from core.incidents.incident import Incident
from core.monitoring.inventory import Service, Stack, Target, find, names_of, title
from core.monitoring.status import status_of_all
from core.text import Text, text

CommonAnswer = Callable[[QuestionContext, Interpretation], Awaitable[list[AnswerPart]]]
LOG_LINES = 50
MOST_LOG_LINES = 500
NAME_SHOWN = 60
RECENT_INCIDENT_AGE = timedelta(hours=2)
"""An incident that ended this lately still answers 'why'."""
_LOUDNESS = {"critical": 0, "warning": 1, "info": 2}
_COUNT = re.compile(r"\b(\d{1,4}) ?(?:lineas?|lines?)\b|\b(?:ultim[oa]s|last) (\d{1,4})\b(?! ?(?:m|h|d))")
_SPAN = re.compile(
    r"\b(\d{1,3}) ?(m|min|minutos?|minutes?|h|hs|horas?|hours?|d|dias?|days?|semanas?|weeks?)\b"
    r"|\b(?:ultima|last|past|esta|this) (hora|hour|semana|week)\b|\b(?:ultimo|last|past) (dia|day)\b"
)
_ONLY_ERRORS = re.compile(r"\b(errores|errors|error)\b")


async def answer_by_rule(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    """Return the complete answer to an understood question."""
    intent = understood.intent
    if intent in CHANGE_INTENTS:
        return [_wish(asked, understood)]
    if intent in _PLAIN:
        return [AnswerMessage(message=text(f"dialogue.{intent}"))]
    if understood.named and not targets_meant(asked, understood) and intent in _NEEDS_A_NAME:
        return [unknown_name_answer(asked, understood.named)]
    return await _ANSWERS[intent](asked, understood)


def targets_meant(asked: QuestionContext, understood: Interpretation) -> tuple[Target, ...]:
    """Return the targets named, else of the incident replied to, else of the last turn."""
    if understood.named:
        return understood.targets
    if asked.incident is not None and asked.incident.service is not None:
        own = asked.inventory.service(asked.incident.stack, asked.incident.service, asked.incident.host)
        return (own,) if own else ()
    return find(asked.inventory, asked.subject) if asked.subject else ()


def unknown_name_answer(asked: QuestionContext, named: str) -> AnswerMessage:
    """Answer that nothing has that name, suggesting the nearest one."""
    shown = f"{named[:NAME_SHOWN]}…" if len(named) > NAME_SHOWN else named
    near = closest(named, names_of(asked.inventory)) or closest(
        named, [_short(one) for one in names_of(asked.inventory)]
    )
    if near is None:
        return AnswerMessage(message=text("dialogue.no_target", name=shown))
    return AnswerMessage(message=text("dialogue.no_target_near", name=shown, near=near))


def _short(name: str) -> str:
    return name.rpartition("/")[2]


def _words(understood: Interpretation, targets: Sequence[Target]) -> str:
    """Return the target as a command argument: its title, or the person's words when several match."""
    return title(targets[0]) if len(targets) == 1 else understood.named


def _wish(asked: QuestionContext, understood: Interpretation) -> AnswerPart:
    targets = targets_meant(asked, understood)
    if not targets:
        return (
            unknown_name_answer(asked, understood.named)
            if understood.named
            else AnswerMessage(message=text("dialogue.needs_target"))
        )
    name = str(understood.intent)
    if understood.intent in STACK_INTENTS:
        targets = whole_stacks(asked, targets)
    if len(targets) == 1:
        return propose_change(name, targets[0])
    fits = ", ".join(dict.fromkeys(title(one) for one in targets[:6]))
    what = text(f"dialogue.propose.{name}", target=f"“{understood.named}”")
    message = text("dialogue.propose.several", what=what, fits=fits)
    return ProposeCommand(name=name, arguments=understood.named, message=message)


def whole_stacks(asked: QuestionContext, targets: Sequence[Target]) -> tuple[Target, ...]:
    """Return the whole stacks of the targets: a single service is never deployed."""
    found: dict[tuple[str, str], Target] = {}
    for target in targets:
        name = target.name if isinstance(target, Stack) else target.stack
        stack = asked.inventory.stack(name, target.host) if name is not None else None
        found.setdefault((target.host, name or target.name), stack or target)
    return tuple(found.values())


def propose_change(name: str, target: Target) -> ProposeCommand:
    """Propose a change of exactly one stack or service, as a button."""
    count = len(target.services) if isinstance(target, Stack) else 1
    key = f"dialogue.propose_stack.{name}" if count > 1 else f"dialogue.propose.{name}"
    message = Text(key, {"target": title(target), "count": count})
    return ProposeCommand(name=name, arguments=title(target), message=message)


# -- commands that look ----------------------------------------------------------------------------------------------


async def _logs(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    plain = fold_text(asked.question.text)
    counted = _COUNT.search(plain)
    count = min(int(counted[1] or counted[2]), MOST_LOG_LINES) if counted else LOG_LINES
    words = _words(understood, targets_meant(asked, understood)) or _of_incident(asked)
    if not words:
        return [RunCommand(name="logs")]
    more = [str(max(count, 1)), _span(plain), "grep error" if _ONLY_ERRORS.search(plain) else ""]
    return [RunCommand(name="logs", arguments=" ".join([words, *filter(None, more)]))]


async def _metrics(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    words = _words(understood, targets_meant(asked, understood)) or _of_incident(asked)
    span = _span(fold_text(asked.question.text)) if words else ""
    return [RunCommand(name="metrics", arguments=f"{words} {span}".strip())]


async def _status(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    return [RunCommand(name="status", arguments=_words(understood, understood.targets))]


async def _health(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    words = _words(understood, targets_meant(asked, understood))
    return [RunCommand(name="health" if words else "status", arguments=words)]


async def _services(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    words = _words(understood, understood.targets)
    return [RunCommand(name="services" if words else "status", arguments=words)]


async def _incidents(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    number = re.search(r"(?:incidente?|incidencia|incident|#) ?#?(\d{1,8})\b", asked.question.text.casefold())
    return [RunCommand(name="incident", arguments=number[1])] if number else [RunCommand(name="incidents")]


async def _help(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    return [RunCommand(name="help")]


async def _before(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    targets = targets_meant(asked, understood)
    if asked.incident is not None and not understood.targets:
        words = f"{asked.incident.target} {asked.english(asked.incident.message)}"
    else:
        words = _words(understood, targets)
    return [RunCommand(name="memory", arguments=asked.parts.redact(words or asked.question.text)[:200])]


def _of_incident(asked: QuestionContext) -> str:
    """Return the target of the incident replied to, even when it no longer exists."""
    return asked.incident.target if asked.incident is not None else ""


def _span(plain: str) -> str:
    found = _SPAN.search(plain)
    if found is None:
        return ""
    unit = found[2] or found[3] or found[4]
    count = int(found[1] or 1)
    if unit.startswith(("semana", "week")):
        return f"{min(7 * count, 30)}d"
    return f"{count}{unit[0]}"


# -- what is known ---------------------------------------------------------------------------------------------------


async def _why(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    if asked.incident is not None and not understood.named:
        return [RunCommand(name="why", arguments=str(asked.incident.id))]
    targets = targets_meant(asked, understood)
    open_ones = [one for one in await asked.parts.incidents.open_ones() if asked.may_see(one.stack)]
    if not targets:
        if len(open_ones) == 1:
            return [RunCommand(name="incident", arguments=str(open_ones[0].id))]
        return [RunCommand(name="incidents" if open_ones else "status")]
    if len(targets) > 1:
        return [RunCommand(name="health", arguments=understood.named)]
    target = targets[0]
    own = sorted(
        (one for one in open_ones if _is_about(one, target)), key=lambda one: (_LOUDNESS[one.severity], one.id)
    )
    if own:
        return [RunCommand(name="incident", arguments=str(own[0].id))]
    since = asked.parts.clock.now() - RECENT_INCIDENT_AGE
    recent = [one for one in await asked.parts.incidents.recent(20, since=since) if _is_about(one, target)]
    if recent and _is_fine(target):
        return [RunCommand(name="incident", arguments=str(recent[0].id))]
    alerts = [*(alert for one in recent for alert in one.alerts), *asked.parts.firing()]
    return [AnswerMessage(message=sentence) for sentence in status_sentences.status_sentences(asked, target, alerts)]


def _is_about(incident: Incident, target: Target) -> bool:
    if incident.host != target.host:
        return False
    if isinstance(target, Stack):
        return incident.stack == target.name
    if (incident.stack, incident.service) == (target.stack, target.name):
        return True
    affected = incident.diagnosis.affected if incident.diagnosis else ()
    is_named = target.title in (incident.culprit, *affected) or target.name in affected
    return incident.stack == target.stack and is_named


async def _changes(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    return [
        AnswerMessage(
            message=await changes_sentence(asked, targets_meant(asked, understood) if understood.named else ())
        )
    ]


async def _use(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    targets = targets_meant(asked, understood)
    if not targets:
        return [RunCommand(name="status")]
    if len(targets) > 1:
        return [RunCommand(name="metrics", arguments=understood.named)]
    if isinstance(targets[0], Service):
        return [AnswerMessage(message=sentence) for sentence in await usage_sentences(asked, targets[0])]
    return [RunCommand(name="services", arguments=title(targets[0]))]


async def _most(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    titles: set[str] = set()
    for target in understood.targets:
        titles |= {one.title for one in (target.services if isinstance(target, Stack) else (target,))}
    found = await heaviest_usage(asked, titles, "cpu_pct" if understood.intent is Intent.MOST_CPU else "memory_mb")
    return [AnswerMessage(message=one) for one in found] or [RunCommand(name="status")]


# -- versions and hosts ----------------------------------------------------------------------------------------------


async def _deployed(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    return [AnswerMessage(message=one) for one in await deployment_sentences(asked, targets_meant(asked, understood))]


def _command(name: str) -> CommonAnswer:
    """Make an answer that runs a command on the named target, else on everything."""

    async def run(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
        return [RunCommand(name=name, arguments=_words(understood, targets_meant(asked, understood)))]

    return run


async def _ports(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    number = re.search(r"\b\d{2,5}\b", asked.question.text)
    words = number[0] if number and not understood.targets else _words(understood, understood.targets)
    return [RunCommand(name="ports", arguments=words)]


async def _disk(asked: QuestionContext, understood: Interpretation) -> list[AnswerPart]:
    return [RunCommand(name="disk")]


STACK_INTENTS = frozenset({Intent.DEPLOY, Intent.ROLLBACK})
_PLAIN = frozenset({Intent.THANKS, Intent.HELLO, Intent.FORBIDS, Intent.DECIDES})
_NEEDS_A_NAME = frozenset(Intent) - {
    Intent.MOST_CPU,
    Intent.MOST_MEMORY,
    Intent.INCIDENTS,
    Intent.HELP,
    Intent.BEFORE,
    Intent.PORTS,
    Intent.DISK,
}
_ANSWERS: dict[Intent, CommonAnswer] = {
    Intent.LOGS: _logs,
    Intent.METRICS: _metrics,
    Intent.STATUS: _status,
    Intent.HEALTH: _health,
    Intent.SERVICES: _services,
    Intent.INCIDENTS: _incidents,
    Intent.HELP: _help,
    Intent.BEFORE: _before,
    Intent.WHY: _why,
    Intent.CHANGES: _changes,
    Intent.MOST_CPU: _most,
    Intent.MOST_MEMORY: _most,
    Intent.CPU: _use,
    Intent.MEMORY_USE: _use,
    Intent.DEPLOYED: _deployed,
    Intent.DEPLOY_LOG: _command("deploylog"),
    Intent.OUTDATED: _command("updates"),
    Intent.COMPOSE_FILE: _command("compose"),
    Intent.DETAILS: _command("info"),
    Intent.PORTS: _ports,
    Intent.DISK: _disk,
}


def _is_fine(target: Target) -> bool:
    status = status_of_all(target)
    return status is None or status.is_fine
