"""Sentences about the status of a service or stack, claiming only what the engine shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from agent.chat.chat_deps import QuestionContext
from core.incidents.alerts import Alert
from core.monitoring.inventory import Container, ContainerState, Health, Stack, Target
from core.monitoring.status import Status, status_of, status_of_all
from core.text import Text, text

OUTPUT_CHARS = 300
SHOWN = 6
_BY_SIGNAL = frozenset({130, 137, 143})
_SAME_END = timedelta(seconds=5)
_KNOWN_ENDS = frozenset({"stop", "kill", "guardian", "outside"})
"""Values of the evidence `stopped_by` that name somebody or something outside the container."""


def status_sentences(asked: QuestionContext, target: Target, alerts: Iterable[Alert]) -> list[Text]:
    """Return one sentence for each container that is not well, or one that all are."""
    known = list(alerts)
    services = target.services if isinstance(target, Stack) else (target,)
    containers = [container for service in services for container in service.containers]
    unwell = [one for one in containers if not status_of(one).is_fine]
    if isinstance(target, Stack) and not unwell:
        return [_all_well(target)]
    shown = unwell or containers
    said = [_truth(asked, one.title, one, known) for one in shown[:SHOWN]]
    if len(shown) > SHOWN:
        said.append(text("dialogue.more", count=len(shown) - SHOWN))
    return said


def _all_well(stack: Stack) -> Text:
    finished = sum(status_of_all(service) is Status.FINISHED for service in stack.services)
    count = len(stack.services) - finished
    return text(
        "dialogue.stack_runs_with_jobs" if finished else "dialogue.stack_runs",
        stack=stack.name,
        count=count,
        **({"finished": finished} if finished else {}),
    )


def not_running_sentence(asked: QuestionContext, container: Container) -> Text:
    """Say that it is not running, for questions about resource usage."""
    return text("dialogue.not_running", target=container.title, state=_state(container), since=asked.since(container))


def _state(container: Container) -> Text:
    return text(f"dialogue.state.{container.state}")


def _truth(asked: QuestionContext, title: str, one: Container, alerts: list[Alert]) -> Text:
    since = asked.since(one)
    if one.state is ContainerState.RUNNING:
        return _running(asked, title, one, since)
    if one.state is ContainerState.EXITED:
        return _exited(asked, title, one, since, alerts)
    if one.error:
        return text("dialogue.cannot_start", target=title, error=_cleaned(asked, one.error))
    if one.state is ContainerState.RESTARTING:
        return text("dialogue.restarting", target=title, count=one.restart_count, code=one.exit_code)
    return text("dialogue.not_running", target=title, state=_state(one), since=since)


def _running(asked: QuestionContext, title: str, one: Container, since: str) -> Text:
    if one.health is Health.UNHEALTHY:
        failed = [probe.output for probe in one.health_log if probe.exit_code != 0]
        output = _cleaned(asked, failed[-1]) if failed else ""
        return text("dialogue.unhealthy" if output else "dialogue.unhealthy_silent", target=title, output=output)
    if one.health is Health.STARTING:
        return text("dialogue.starting", target=title, since=since)
    if one.health is Health.HEALTHY:
        return text("dialogue.runs_well", target=title, since=since)
    return text("dialogue.runs_plain", target=title, since=since)


def _exited(asked: QuestionContext, title: str, one: Container, since: str, alerts: list[Alert]) -> Text:
    if one.error:
        return text("dialogue.cannot_start", target=title, error=_cleaned(asked, one.error))
    if one.oom_killed:
        return text("dialogue.out_of_memory", target=title, since=since)
    if (by := _stopped_by(one, alerts)) is not None:
        how = text(f"dialogue.by.{by}")
        return text("dialogue.stopped_by", target=title, by=how, since=since, code=one.exit_code)
    if one.exit_code in _BY_SIGNAL:
        return text("dialogue.stopped", target=title, code=one.exit_code, since=since)
    if one.exit_code in (0, None):
        return text("dialogue.finished", target=title, since=since)
    return text("dialogue.failed", target=title, code=one.exit_code, since=since)


def _stopped_by(one: Container, alerts: list[Alert]) -> str | None:
    """Return who ended it, if an alert about this very end names them."""
    for alert in reversed(alerts):
        is_this = alert.ref == one.ref and one.finished_at is not None and abs(alert.at - one.finished_at) <= _SAME_END
        if is_this and (by := alert.facts().get("stopped_by")) in _KNOWN_ENDS:
            return str(by)
    return None


def _cleaned(asked: QuestionContext, output: str) -> str:
    return " ".join(asked.parts.redact(output[: 4 * OUTPUT_CHARS]).split())[:OUTPUT_CHARS]


def render_sentences(asked: QuestionContext, sentences: Iterable[Text]) -> Iterator[str]:
    """Yield the sentences in the person's language."""
    return (asked.say(sentence) for sentence in sentences)
