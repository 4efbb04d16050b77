"""Planned commands inside of containers."""

from __future__ import annotations

from typing import Literal

from core.errors import Refused
from core.text import text
from integrations.dokploy.client.instance_models import Schedule, ScheduleRun
from integrations.dokploy.client.transport import Patience, Transport


class Schedules:
    """Those of hosts run any shell command there; they are neither listed nor run."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def of(self, owner: Literal["application", "compose"], owner_id: str) -> list[Schedule]:
        """Of one service, with their runs."""
        params = {"id": owner_id, "scheduleType": owner}
        return await self._transport.get("schedule.list", list[Schedule], params)

    async def one(self, schedule_id: str) -> Schedule:
        """One schedule."""
        return await self._transport.get("schedule.one", Schedule, {"scheduleId": schedule_id})

    async def run(self, schedule: Schedule) -> ScheduleRun:
        """Run it now; answers when the command has ended. Refused for a host's."""
        if schedule.is_of_host:
            raise Refused(
                f"the schedule {schedule.name!r} runs a shell command on the host; run it in Dokploy if you mean it",
                says=text("dokploy_error.shell_schedule", schedule=schedule.name),
            )
        body = {"scheduleId": schedule.schedule_id}
        return await self._transport.post("schedule.runManually", ScheduleRun, body, patience=Patience.LONG)
