"""How a test makes the stand-in misbehave, and how it looks at what came."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from tests.standins.dokploy import plans
from tests.standins.dokploy.arrangement import Service
from tests.standins.dokploy.faults import Asked, Fault, Faults
from tests.standins.dokploy.notify import Notifier, Posted
from tests.standins.dokploy.queue import Queue
from tests.standins.dokploy.rows import Row
from tests.standins.dokploy.stage import Stage
from tests.standins.dokploy.state import State

T = TypeVar("T")


class Mischief:
    """The part of the stand-in that tests disturb it with. A procedure's name may be `*`: any."""

    state: State
    stage: Stage
    faults: Faults
    queue: Queue
    notifier: Notifier

    @abstractmethod
    def _do(self, act: Callable[[], T]) -> T: ...

    @abstractmethod
    def _wait(self, work: Coroutine[Any, Any, T]) -> T: ...

    @abstractmethod
    async def _listen(self) -> None: ...

    @abstractmethod
    async def _close_port(self) -> None: ...

    # -- answers -----------------------------------------------------------------------------------------------------

    def hang(self, procedure: str, times: int = 1) -> None:
        """The next calls get no answer, until `release_hanging` closes their connections."""
        self._do(lambda: self.faults.order(procedure, Fault.HANG, times))

    def release_hanging(self) -> None:
        """Close the connections of the calls that hang now."""

        def release() -> None:
            self.faults.is_released.set()
            self.faults.is_released = asyncio.Event()

        self._do(release)

    def fail_gateway(self, procedure: str, times: int = 1) -> None:
        """The next calls are answered 502 by the proxy and do nothing."""
        self._do(lambda: self.faults.order(procedure, Fault.BAD_GATEWAY, times))

    def drop(self, procedure: str, times: int = 1) -> None:
        """The next calls do nothing, and their connection is closed."""
        self._do(lambda: self.faults.order(procedure, Fault.DROP, times))

    def lose_answer(self, procedure: str, times: int = 1) -> None:
        """The next calls do what they should (a deploy is queued), but their answer is lost."""
        self._do(lambda: self.faults.order(procedure, Fault.LOSE_ANSWER, times))

    def set_latency(self, seconds: float) -> None:
        """How long every answer takes from now on."""
        self.faults.latency_s = seconds

    # -- the process -------------------------------------------------------------------------------------------------

    def go_down(self) -> None:
        """Connections are refused; what runs goes on."""
        self._wait(self._close_port())

    def come_back(self) -> None:
        """Listen again, at the same address."""
        self._wait(self._listen())

    def restart(self, *, marks_leftovers: bool = True) -> None:
        """As when its process is killed and started: the queue is lost, and what runs ends in the middle.

        Production start-up marks running deployments `cancelled` and their services `idle`; with
        `marks_leftovers=False` they stay `running` for ever.
        """
        self._wait(self._restart(marks_leftovers=marks_leftovers))

    async def _restart(self, *, marks_leftovers: bool) -> None:
        await self._close_port()
        await self.queue.lose()
        if marks_leftovers:
            self.state.mark_leftovers()
        await self._listen()
        told = {"message": "Dokploy server has been restarted successfully", "status": "success"}
        self.notifier.tell("dokployRestart", "Dokploy Server Restarted", **told, type="dokploy-restart")

    # -- deployments -------------------------------------------------------------------------------------------------

    def hold_queue(self) -> None:
        """No deployment is started any more: all wait."""
        self.queue.is_held = True

    def release_queue(self) -> None:
        """Go on, in order."""

        def release() -> None:
            self.queue.is_held = False
            self.queue.pump()

        self._do(release)

    def hold_running(self) -> None:
        """Deployments start (status and row say `running`) and then go no further; one blocks the queue."""
        self._do(self.stage.may_run.clear)

    def release_running(self) -> None:
        """Let them go on."""
        self._do(self.stage.may_run.set)

    def let_one_run(self) -> None:
        """While deployments are held: let the one that runs go on, and hold the next."""

        def step() -> None:
            self.stage.may_run.set()
            self.stage.may_run.clear()

        self._do(step)

    # -- plans -------------------------------------------------------------------------------------------------------

    def run_backup(self, row: Row, *, fails_with: str | None = None) -> None:
        """A backup's hour has come: a deployment row, a log, a notification."""
        own_id = row.get("backupId") or row["volumeBackupId"]
        run = plans.run_backup if "backupId" in row else plans.run_volume_backup

        async def make() -> None:
            self.stage.backup_errors.pop(own_id, None)
            if fails_with is not None:
                self.stage.backup_errors[own_id] = fails_with
            await run(self.stage, row)

        self._wait(make())

    def make_backups_fail(self, row: Row, error: str) -> None:
        """Every run of it fails from now on, those asked for through the API too."""
        own_id = row.get("backupId") or row["volumeBackupId"]
        self._do(lambda: self.stage.backup_errors.update({own_id: error}))

    def announce(self, switch: str, title: str, **more: object) -> None:
        """Post any notification to the channels that want it."""
        self._do(lambda: self.notifier.tell(switch, title, **more))

    # -- what came ---------------------------------------------------------------------------------------------------

    @property
    def requests(self) -> list[Asked]:
        """Every request since the start or `forget_requests`, in order."""
        return list(self.faults.asked)

    def asked(self, procedure: str) -> list[Asked]:
        """The requests of one procedure."""
        return [one for one in self.requests if one.procedure == procedure]

    @property
    def most_at_once(self) -> int:
        """The most requests under way at the same time since `forget_requests`."""
        return self.faults.most_under_way

    def forget_requests(self) -> None:
        """Count anew."""

        def forget() -> None:
            self.faults.asked.clear()
            self.faults.most_under_way = self.faults.under_way

        self._do(forget)

    @property
    def posted(self) -> list[Posted]:
        """The notifications that were sent, with what became of each."""
        return list(self.notifier.posted)

    def deployments(self, service: Service) -> list[Row]:
        """Its deployments, newest first."""
        column = "composeId" if "composeId" in service.row else "applicationId"
        return self._do(lambda: [dict(row) for row in self.state.deployments_of(column, service.id)])
