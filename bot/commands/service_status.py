"""How a service stands, in a sign and a few words; used wherever services are listed."""

from __future__ import annotations

from dataclasses import dataclass

from bot.command_context import CommandContext
from core.durations import duration
from core.incidents.incident import Incident
from core.monitoring.inventory import Container, ContainerState, Health, Service
from core.text import text
from core.views.cards import Tone, Words

MIB = 1024 * 1024
_ORDER = (Tone.CRITICAL, Tone.WARNING, Tone.PAUSED, Tone.BUSY, Tone.STOPPED, Tone.OFF, Tone.WELL)


@dataclass(frozen=True, kw_only=True)
class ServiceStatus:
    """A verdict on one service or stack."""

    tone: Tone
    says: Words

    @property
    def is_trouble(self) -> bool:
        """Whether somebody should look."""
        return self.tone in (Tone.CRITICAL, Tone.WARNING, Tone.PAUSED)


def standing(service: Service) -> ServiceStatus:
    """The worst of its containers."""
    return min((_one(container) for container in service.containers), key=lambda one: _ORDER.index(one.tone))


def worst(standings: list[ServiceStatus]) -> Tone:
    """The tone of several together."""
    return min((one.tone for one in standings), key=_ORDER.index, default=Tone.OFF)


def _one(container: Container) -> ServiceStatus:
    state = container.state
    if state is ContainerState.RUNNING:
        return _running(container)
    if state is ContainerState.EXITED:
        return _exited(container)
    tone = {
        ContainerState.RESTARTING: Tone.CRITICAL,
        ContainerState.DEAD: Tone.CRITICAL,
        ContainerState.PAUSED: Tone.PAUSED,
        ContainerState.CREATED: Tone.WARNING if container.error else Tone.OFF,
    }.get(state, Tone.BUSY)
    return ServiceStatus(tone=tone, says=text(f"standing.{state}"))


def _running(container: Container) -> ServiceStatus:
    if container.health is Health.UNHEALTHY:
        return ServiceStatus(tone=Tone.WARNING, says=text("standing.unhealthy", streak=container.failing_streak))
    if container.health is Health.STARTING:
        return ServiceStatus(tone=Tone.BUSY, says=text("standing.starting"))
    key = "standing.healthy" if container.health is Health.HEALTHY else "standing.running"
    return ServiceStatus(tone=Tone.WELL, says=text(key))


def _exited(container: Container) -> ServiceStatus:
    if container.oom_killed:
        return ServiceStatus(tone=Tone.CRITICAL, says=text("standing.oom"))
    if container.exit_code in (0, None):
        is_job = container.restart_policy in ("no", "on-failure")
        return ServiceStatus(tone=Tone.OFF if is_job else Tone.STOPPED, says=text("standing.finished"))
    if container.exit_code == 143:
        return ServiceStatus(tone=Tone.STOPPED, says=text("standing.stopped"))
    return ServiceStatus(tone=Tone.CRITICAL, says=text("standing.exited", code=container.exit_code))


def use(ask: CommandContext, containers: tuple[Container, ...]) -> str:
    """CPU and memory of containers together, as last sampled: `CPU 12 % · 1.2 GB`; empty when nothing was sampled."""
    samples = [sample for one in containers if one.is_running and (sample := ask.face.latest(one.ref))]
    if not samples:
        return ""
    cpu = sum(one.cpu_pct for one in samples)
    return f"CPU {cpu:.0f} % · {memory(sum(one.memory_bytes for one in samples))}"


def memory(amount: float) -> str:
    """Bytes for people: `512 MB`, `1.2 GB`."""
    mib = amount / MIB
    return f"{mib / 1024:.1f} GB" if mib >= 1000 else f"{mib:.0f} MB"


def uptime(ask: CommandContext, container: Container) -> str:
    """How long it has been running; empty when it does not."""
    if not container.is_running or container.started_at is None:
        return ""
    return " ".join(duration(ask.now - container.started_at).split()[:2])


def incidents_of(ask: CommandContext, stack: str | None, service: str | None = None) -> list[Incident]:
    """The open incidents of a stack or service."""
    return [
        one
        for one in ask.face.desk.open_ones()
        if one.stack == stack and (service is None or one.service == service) and (stack or one.service)
    ]
