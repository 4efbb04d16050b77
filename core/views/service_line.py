"""The line of a service in a list: its status in a sign and a few words, its use of the host, its uptime."""

from __future__ import annotations

from dataclasses import dataclass

from core.durations import duration
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, ContainerState, Health, Service
from core.monitoring.status import Status, status_of, worst_of
from core.text import Text, text
from core.views.cards import Line, Span, Tone, Words, faint, line, strong
from core.views.view_context import ViewContext

MIB = 1024 * 1024
_ORDER = (Tone.CRITICAL, Tone.WARNING, Tone.PAUSED, Tone.BUSY, Tone.STOPPED, Tone.OFF, Tone.WELL)
_TONES = {
    Status.RESTARTING: Tone.CRITICAL,
    Status.FAILED: Tone.CRITICAL,
    Status.UNHEALTHY: Tone.WARNING,
    Status.PAUSED: Tone.PAUSED,
    Status.STARTING: Tone.BUSY,
    Status.REMOVING: Tone.BUSY,
    Status.STOPPED: Tone.STOPPED,
    Status.CREATED: Tone.OFF,
    Status.FINISHED: Tone.OFF,
    Status.WELL: Tone.WELL,
}


@dataclass(frozen=True, kw_only=True)
class ServiceStatus:
    """A verdict on one service or stack."""

    tone: Tone
    message: Words

    @property
    def is_trouble(self) -> bool:
        """Return True if somebody should look."""
        return self.tone in (Tone.CRITICAL, Tone.WARNING, Tone.PAUSED)


def service_status(service: Service) -> ServiceStatus:
    """The worst of its containers."""
    container = worst_of(service.containers)
    if container is None:
        return ServiceStatus(tone=Tone.OFF, message=text("services.no_containers"))
    status = status_of(container)
    return ServiceStatus(tone=_TONES[status], message=_words(container, status))


def worst(statuses: list[ServiceStatus]) -> Tone:
    """The tone of several together."""
    return min((one.tone for one in statuses), key=_ORDER.index, default=Tone.OFF)


def _words(container: Container, status: Status) -> Text:
    if status is Status.FAILED:
        return _failed(container)
    if status is Status.UNHEALTHY:
        return text("standing.unhealthy", streak=container.failing_streak)
    if status is Status.WELL:
        return text("standing.healthy" if container.health is Health.HEALTHY else "standing.running")
    return text(f"standing.{status}")


def _failed(container: Container) -> Text:
    if container.state is ContainerState.DEAD:
        return text("standing.dead")
    if container.oom_killed:
        return text("standing.oom")
    if container.error:
        return text("standing.cannot_start")
    return text("standing.exited", code=container.exit_code)


def statuses_of(services: tuple[Service, ...]) -> list[ServiceStatus]:
    """The verdict on each."""
    return [service_status(one) for one in services]


def running(services: tuple[Service, ...]) -> int:
    """The number of those that run wholly."""
    return sum(all(container.is_running for container in one.containers) for one in services)


def service_line(view: ViewContext, service: Service, *, full_name: bool = False) -> Line:
    """A service with its state and use."""
    status = service_status(service)
    spans: list[Words | Span] = [strong(service.title if full_name else service.name), "  ", status.message]
    if len(service.containers) > 1:
        up = sum(one.is_running for one in service.containers)
        spans.append(f" {up}/{len(service.containers)}")
    used = use(view, service.containers)
    if used:
        spans.append(faint(f"  {used}"))
    return line(*spans, tone=status.tone)


def use(view: ViewContext, containers: tuple[Container, ...]) -> str:
    """CPU and memory of containers together, as last sampled: `CPU 12 % · 1.2 GB`; empty when nothing was sampled."""
    samples = [sample for one in containers if one.is_running and (sample := view.latest(one.ref))]
    if not samples:
        return ""
    cpu = sum(one.cpu_pct for one in samples)
    return f"CPU {cpu:.0f} % · {memory(sum(one.memory_bytes for one in samples))}"


def memory(amount: float) -> str:
    """Bytes for people: `512 MB`, `1.2 GB`."""
    mib = amount / MIB
    return f"{mib / 1024:.1f} GB" if mib >= 1000 else f"{mib:.0f} MB"


def uptime(view: ViewContext, container: Container) -> str:
    """The time that it has been running; empty when it does not."""
    if not container.is_running or container.started_at is None:
        return ""
    return " ".join(duration(view.now - container.started_at).split()[:2])


def incidents_of(view: ViewContext, stack: str | None, service: str | None = None) -> list[Incident]:
    """The open incidents of a stack or service."""
    return [
        one
        for one in view.open_incidents()
        if one.stack == stack and (service is None or one.service == service) and (stack or one.service)
    ]
