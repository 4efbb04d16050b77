"""Table of alert kinds, one row each: the target of a kind, its end and its relations to other alerts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class AlertScope(StrEnum):
    """Kind of target an alert has: the engine reports containers and hosts, the platform stacks and itself."""

    CONTAINER = "container"
    HOST = "host"
    STACK = "stack"
    PLATFORM = "platform"


DetectorKind = Literal["state", "event"]
"""`state`: quiet when its condition is false. `event`: quiet when the target is healthy and nothing recurred."""


@dataclass(frozen=True, kw_only=True)
class KindTraits:
    """One row of the table."""

    scope: AlertScope
    detector: DetectorKind = "state"
    repeats: bool = False
    """A `state` that can occur anew while it lasts; a later time makes it a repeat."""
    is_resource: bool = False
    """A measured level: one sample under the threshold does not end it."""
    is_about_memory: bool = False
    is_down: bool = False
    """While it is firing, later victims belong to it however late they come."""
    is_unreachable: bool = False
    """About the watched system itself: the only alert that is possible while the system does not respond."""
    is_about_watch: bool = False
    """About the monitoring of a system, not its containers: raised by the system's own watcher alone."""
    can_cause: bool = False
    """May be the cause of trouble in services that depend on its target."""
    can_be_caused: bool = False
    """May be caused by something its target depends on, or by a deployment."""
    sums_up_containers: bool = False
    """Raised for a stack as a whole when some of its containers do not run."""
    has_cause_inside: bool = False
    """Caused by one of the stack's containers if one of those is in trouble too."""
    stands_apart: bool = False
    """Unrelated to any other trouble of the same stack or host."""
    is_about_deploys: bool = False
    is_bad_deploy: bool = False
    """A deployment has ended badly: a rollback is offered."""
    is_explained_by_deploy: bool = True
    """Held back while a deployment of its stack is under way."""

    @property
    def is_seen_on_platform(self) -> bool:
        """True if only a poll of the platform can tell that it is over."""
        return self.scope in (AlertScope.STACK, AlertScope.PLATFORM)

    @property
    def needs_whole_stack(self) -> bool:
        """True if it is over only when all containers of its stack are healthy."""
        return self.sums_up_containers or self.is_bad_deploy


class AlertKind(StrEnum):
    """Kind of alert. The runbooks' `trigger.event` names one of these."""

    CONTAINER_DIED = "container_died"
    """Exited unexpectedly, whatever the cause (the OOM killer too)."""
    CRASH_LOOP = "crash_loop"
    CHILD_OOM = "child_oom"
    """The kernel killed a process inside; the container itself keeps running."""
    UNHEALTHY = "unhealthy"
    CANNOT_START = "cannot_start"
    KILLED_BY_API = "killed_by_api"
    PAUSED = "paused"
    MEMORY_NEAR_LIMIT = "memory_near_limit"
    CPU_PEGGED = "cpu_pegged"
    CPU_THROTTLED = "cpu_throttled"
    ENGINE_UNREACHABLE = "engine_unreachable"
    DEPLOY_FAILED = "deploy_failed"
    """A deployment ended with an error."""
    DEPLOY_CRASHED = "deploy_crashed"
    """A deployment was reported done, but its containers crashed or never became healthy."""
    DEPLOY_STUCK = "deploy_stuck"
    """A deployment runs far longer than it should."""
    QUEUE_BLOCKED = "queue_blocked"
    """Deployments wait behind one that does not end."""
    STATUS_CONTRADICTS = "status_contradicts"
    """The platform reports a stack as running but its containers are down, or the other way round."""
    DOMAIN_FAILING = "domain_failing"
    """A domain does not respond: its name, its router, its port or its certificate."""
    BACKUP_FAILED = "backup_failed"
    PLATFORM_UNREACHABLE = "platform_unreachable"
    """The platform (Dokploy) does not respond, or rejects the key."""
    DETECTOR_FAILED = "detector_failed"
    """One of the guardian's own detectors raises errors: the alerts it would raise are missed."""

    @property
    def traits(self) -> KindTraits:
        """Its row of the table."""
        return ALERT_KINDS[self]


ALERT_KINDS: Mapping[AlertKind, KindTraits] = {
    AlertKind.CONTAINER_DIED: KindTraits(
        scope=AlertScope.CONTAINER, detector="event", is_down=True, can_cause=True, can_be_caused=True
    ),
    AlertKind.CRASH_LOOP: KindTraits(
        scope=AlertScope.CONTAINER, detector="event", is_down=True, can_cause=True, can_be_caused=True
    ),
    AlertKind.CHILD_OOM: KindTraits(scope=AlertScope.CONTAINER, detector="event", can_cause=True, is_about_memory=True),
    AlertKind.UNHEALTHY: KindTraits(scope=AlertScope.CONTAINER, is_down=True, can_cause=True, can_be_caused=True),
    AlertKind.CANNOT_START: KindTraits(scope=AlertScope.CONTAINER, is_down=True, can_cause=True),
    AlertKind.KILLED_BY_API: KindTraits(scope=AlertScope.CONTAINER, detector="event", is_down=True, can_cause=True),
    AlertKind.PAUSED: KindTraits(scope=AlertScope.CONTAINER, is_down=True, can_cause=True),
    AlertKind.MEMORY_NEAR_LIMIT: KindTraits(
        scope=AlertScope.CONTAINER, is_resource=True, can_cause=True, is_about_memory=True
    ),
    AlertKind.CPU_PEGGED: KindTraits(scope=AlertScope.CONTAINER, is_resource=True, can_cause=True),
    AlertKind.CPU_THROTTLED: KindTraits(scope=AlertScope.CONTAINER, is_resource=True, can_cause=True),
    AlertKind.ENGINE_UNREACHABLE: KindTraits(
        scope=AlertScope.HOST,
        is_unreachable=True,
        is_about_watch=True,
        stands_apart=True,
        is_explained_by_deploy=False,
    ),
    AlertKind.DEPLOY_FAILED: KindTraits(
        scope=AlertScope.STACK, repeats=True, can_cause=True, is_about_deploys=True, is_bad_deploy=True
    ),
    AlertKind.DEPLOY_CRASHED: KindTraits(
        scope=AlertScope.STACK,
        can_cause=True,
        sums_up_containers=True,
        has_cause_inside=True,
        is_about_deploys=True,
        is_bad_deploy=True,
    ),
    AlertKind.DEPLOY_STUCK: KindTraits(
        scope=AlertScope.STACK, can_cause=True, is_about_deploys=True, is_explained_by_deploy=False
    ),
    AlertKind.QUEUE_BLOCKED: KindTraits(scope=AlertScope.STACK, is_about_deploys=True, is_explained_by_deploy=False),
    AlertKind.STATUS_CONTRADICTS: KindTraits(
        scope=AlertScope.STACK, sums_up_containers=True, has_cause_inside=True, is_about_deploys=True
    ),
    AlertKind.DOMAIN_FAILING: KindTraits(scope=AlertScope.STACK, has_cause_inside=True),
    AlertKind.BACKUP_FAILED: KindTraits(
        scope=AlertScope.STACK, repeats=True, stands_apart=True, is_explained_by_deploy=False
    ),
    AlertKind.PLATFORM_UNREACHABLE: KindTraits(
        scope=AlertScope.PLATFORM,
        is_unreachable=True,
        is_about_watch=True,
        stands_apart=True,
        is_explained_by_deploy=False,
    ),
    AlertKind.DETECTOR_FAILED: KindTraits(
        scope=AlertScope.HOST, is_about_watch=True, stands_apart=True, is_explained_by_deploy=False
    ),
}
