"""Views for the detectors over Dokploy: what it says, and what really runs, at moments given in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from core.deployments.platform import Deployment, DeployStatus, ManagedKind, ManagedResource, QueuedDeployment
from core.incidents.alerts import Alert
from core.monitoring.inventory import Container, ContainerState, Host, Inventory, join
from core.monitoring.snapshot import OwnAct, PlatformView, Snapshot, View
from core.settings import WatchSettings
from integrations.dokploy.detectors import DOKPLOY_DETECTORS
from tests.core.scripted_watcher import HOST, at, container

DOKPLOY = Host(name="dokploy", is_platform=True)


def deployment(number: int, status: str, began: float, lasted_s: float | None = 30, **more: Any) -> Deployment:
    """The deployment `d<number>`; `lasted_s` None: it runs."""
    return Deployment(
        id=f"d{number}",
        status=DeployStatus(status),
        created_at=at(began),
        started_at=at(began),
        finished_at=at(began + lasted_s) if lasted_s is not None else None,
        **{"title": f"change {number}", **more},
    )


def managed(name: str = "shop", *deployments: Deployment, status: str = "done", **more: Any) -> ManagedResource:
    """A compose; its containers have the project `<name>-x7f3k2`."""
    given = {"kind": ManagedKind.COMPOSE, "id": f"id-{name}", "app_name": f"{name}-x7f3k2", **more}
    return ManagedResource(name=name, status=status, deployments=deployments, **given)


def own(name: str = "shop-api-1", **more: Any) -> Container:
    """A container of the stack `shop` (or of the one that its name begins with)."""
    stack = name.split("-")[0]
    return container(name, **{"stack": stack, "project": f"{stack}-x7f3k2", **more})


def ended(code: int, when_s: float, name: str = "shop-api-1", **more: Any) -> Container:
    """The same, ended."""
    return own(name, state=ContainerState.EXITED, exit_code=code, finished_at=at(when_s), **more)


def waiting(name: str, queued_s: float, *, active: bool = False) -> QueuedDeployment:
    """A job of that compose."""
    job_id = f"job-{name}-{queued_s}"
    return QueuedDeployment(job_id=job_id, managed_id=f"id-{name}", is_active=active, queued_at=at(queued_s))


class Scene:
    """Shows the detectors one moment after the other, as a watcher does."""

    def __init__(self, *, since_s: float = -100_000, **settings: Any) -> None:
        self._since = at(since_s)
        self._settings = WatchSettings(**settings)
        self._before: Snapshot | None = None
        self._around: tuple[Host, ...] = (HOST,)

    def hosts(self, *hosts: Host) -> None:
        """Which machines are watched from now on."""
        self._around = hosts

    def shows(
        self,
        now_s: float,
        what: Iterable[ManagedResource],
        containers: Sequence[Container] = (),
        *,
        status_s: float | None = None,
        queue_s: float | None = None,
        acts: tuple[OwnAct, ...] = (),
        **platform: Any,
    ) -> list[Alert]:
        """The alerts at that moment; `status_s`, `queue_s`: when those were read (None: now)."""
        seen = PlatformView(
            managed=tuple(what),
            status_at=at(now_s if status_s is None else status_s),
            queue_at=at(now_s if queue_s is None else queue_s),
            since=self._since,
            **platform,
        )
        return self.judge(Snapshot(at=at(now_s), host=DOKPLOY, platform=seen, own_acts=acts), containers)

    def judge(self, now: Snapshot, containers: Sequence[Container] = ()) -> list[Alert]:
        """The alerts over this snapshot."""
        around = join([now.inventory(), Inventory(hosts=self._around, containers=tuple(containers))])
        view = View(now=now, before=self._before, inventory=around, settings=self._settings)
        found = [alert for one in DOKPLOY_DETECTORS for alert in one(view)]
        self._before = now
        return found


def kinds(alerts: Iterable[Alert]) -> list[str]:
    """What they are."""
    return [str(one.kind) for one in alerts]
