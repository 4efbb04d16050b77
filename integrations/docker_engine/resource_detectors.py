"""Detectors of exhausted resources: memory near the limit, CPU pegged or throttled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from core.incidents.alert_kinds import AlertKind
from core.incidents.alerts import Alert, Severity
from core.monitoring.inventory import Container
from core.monitoring.snapshot import Detector, Sample, View, detector
from core.text import Text, text
from integrations.docker_engine.container_alerts import MIB, container_alert, memory_facts

MIN_COVERAGE = 0.8
"""Share of `sustained_s` that the samples must span: the first one may be late."""
MIN_SAMPLES = 3


@detector(AlertKind.MEMORY_NEAR_LIMIT)
def memory_near_limit(view: View) -> Iterator[Alert]:
    """Yield an alert for each container whose working set stays near its limit."""
    for span in _sustained(view, view.settings.memory_near_pct, lambda container, sample: sample.memory_pct):
        message = text(
            "alert.memory_near_limit",
            service=span.container.title,
            pct=round(span.last),
            limit=span.samples[-1].memory_limit_bytes // MIB,
        )
        facts = memory_facts(span.container, view, is_at_limit=False)
        yield _alert(AlertKind.MEMORY_NEAR_LIMIT, span, message, {"memory_pct": round(span.last, 1), **facts})


@detector(AlertKind.CPU_PEGGED)
def cpu_pegged(view: View) -> Iterator[Alert]:
    """Yield an alert for each container that keeps using all the CPU it may have."""
    for span in _sustained(view, view.settings.cpu_pegged_pct, lambda one, sample: _share(one, sample, view)):
        message = text("alert.cpu_pegged", service=span.container.title, pct=round(span.last))
        yield _alert(AlertKind.CPU_PEGGED, span, message, {"cpu_pct": round(span.last, 1)})


@detector(AlertKind.CPU_THROTTLED)
def cpu_throttled(view: View) -> Iterator[Alert]:
    """Yield an alert for each container that its CPU quota keeps throttling: it looks idle, but starves."""
    for span in _sustained(view, view.settings.cpu_throttled_pct, lambda container, sample: sample.throttled_pct):
        message = text("alert.cpu_throttled", service=span.container.title, pct=round(span.last))
        facts: dict[str, JsonValue] = {
            "throttled_pct": round(span.last, 1),
            "cpu_pct": round(_share(span.container, span.samples[-1], view), 1),
        }
        yield _alert(AlertKind.CPU_THROTTLED, span, message, facts)


@dataclass(frozen=True, kw_only=True)
class _Span:
    container: Container
    samples: Sequence[Sample]
    last: float


def _sustained(view: View, threshold: float, measure: Callable[[Container, Sample], float]) -> Iterator[_Span]:
    """Yield the running containers whose every sample in the last `sustained_s` of this run reaches a threshold."""
    wanted_s = view.settings.sustained_s
    for container in view.now.containers.values():
        if not container.is_running:
            continue
        samples = [
            sample
            for sample in view.now.samples.get(container.name, ())
            if (view.now.at - sample.at).total_seconds() <= wanted_s * 1.1
            and (container.started_at is None or sample.at >= container.started_at)
        ]
        if len(samples) < MIN_SAMPLES or (samples[-1].at - samples[0].at).total_seconds() < MIN_COVERAGE * wanted_s:
            continue
        values = [measure(container, sample) for sample in samples]
        if min(values) >= threshold:
            yield _Span(container=container, samples=samples, last=values[-1])


def _share(container: Container, sample: Sample, view: View) -> float:
    """Return CPU use as a share of the container's own limit, or of the host when it has none."""
    cores = container.cpu_limit or float(view.now.host.cpus or 1)
    return sample.cpu_pct / cores


def _alert(kind: AlertKind, span: _Span, message: Text, facts: Mapping[str, JsonValue]) -> Alert:
    since = span.samples[0].at
    lasted_s = round((span.samples[-1].at - since).total_seconds(), 1)
    return container_alert(
        span.container,
        kind=kind,
        severity=Severity.WARNING,
        at=since,
        message=message,
        facts={**facts, "sustained_s": lasted_s},
        source="stats",
    )


RESOURCE_DETECTORS: tuple[Detector, ...] = (memory_near_limit, cpu_pegged, cpu_throttled)
