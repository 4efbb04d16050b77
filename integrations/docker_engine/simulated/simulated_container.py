"""One simulated container: the states, events, restarts and health of a real one, driven by timers."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from core.errors import ActionFailed
from core.monitoring.exits import SIGKILL, SIGKILL_EXIT
from core.monitoring.inventory import ContainerState, Health
from core.monitoring.snapshot import EventKind, Sample
from integrations.docker_engine.simulated.container_spec import MIB, ContainerSpec, MemoryGrowth, ProgramExit, wave
from integrations.docker_engine.simulated.simulated_world import (
    ProbeRun,
    SimulatedWorld,
    policy_restarts,
    unresolved_name_error,
)

SIGTERM = 15
NOT_FOUND_EXIT = 127
LINES_KEPT = 5000
PROBES_KEPT = 5
FIRST_BACK_OFF_S = 0.1
LONGEST_BACK_OFF_S = 60.0
BACK_OFF_RESET_S = 10.0
"""After a run this long the back-off starts again, as in moby's restart manager."""
STOPS_WITHIN_S = 0.03
CHILD_LINE = "Worker (pid:9) was sent SIGKILL! Perhaps out of memory?"
Stream = Literal["stdout", "stderr"]


@dataclass(kw_only=True)
class SimulatedContainer:
    """See the module's docstring. The engine's methods call these methods; timers do the rest."""

    recipe: ContainerSpec
    id: str
    world: SimulatedWorld
    created_at: datetime
    limit_bytes: int = 0
    state: ContainerState = ContainerState.CREATED
    health: Health = Health.NONE
    probes: deque[ProbeRun] = field(default_factory=lambda: deque(maxlen=PROBES_KEPT))
    failing_streak: int = 0
    exit_code: int = 0
    oom_killed: bool = False
    oom_kills: int = 0
    error: str = ""
    restart_count: int = 0
    started_at: datetime | None = None
    finished_at: datetime | None = None
    lines: deque[tuple[Stream, datetime, bytes]] = field(default_factory=lambda: deque(maxlen=LINES_KEPT))
    is_sick: bool = False
    hunger: MemoryGrowth | None = None
    """Present need for memory, or, if it recurs, the need at every start."""
    ends: ProgramExit | None = None
    _hungry_since: datetime | None = None
    _was_stopped: bool = False
    _back_offs: int = 0
    _said: int = 0
    _timers: list[asyncio.TimerHandle] = field(default_factory=list)
    _memory_timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """Container name."""
        return self.recipe.name

    @property
    def runs(self) -> bool:
        """True when it has processes (paused ones too)."""
        return self.state in (ContainerState.RUNNING, ContainerState.PAUSED)

    # -- orders -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it by hand; no effect on a running one. Raises ActionFailed when its program cannot start."""
        if self.runs:
            return
        self._cancel_timers()
        if self.recipe.start_problem:
            self.exit_code, self.error = NOT_FOUND_EXIT, self.recipe.start_problem
            raise ActionFailed(f"start {self.name!r}: the engine refused: {self.recipe.start_problem}")
        self.restart_count = self._back_offs = 0
        self._was_stopped = False
        self._run()

    async def stop(self, grace_s: float) -> None:
        """Send SIGTERM, then SIGKILL after the grace period; no effect on a stopped container."""
        if self.state is ContainerState.RESTARTING:
            self._cancel_timers()
            self._was_stopped = True
            self.state = ContainerState.EXITED
            self.world.emit(self, EventKind.STOP)
            return
        if not self.runs:
            return
        run = self.started_at
        self.signal(SIGTERM)
        await asyncio.sleep(grace_s if self.recipe.is_stubborn else STOPS_WITHIN_S)
        if self.runs and self.started_at == run:
            if self.recipe.is_stubborn:
                self.signal(SIGKILL)
            else:
                self._end(0)
        self.world.emit(self, EventKind.STOP)

    def signal(self, number: int) -> None:
        """Send a signal as the API does."""
        self.world.emit(self, EventKind.KILL, signal=number)
        if number == SIGKILL:
            self._was_stopped = True
            self._end(SIGKILL_EXIT)
        elif number == SIGTERM and not self.recipe.is_stubborn:
            self._was_stopped = True
            self._later(STOPS_WITHIN_S / 2, lambda: self._end(0))

    def pause(self) -> None:
        """Pause it."""
        if self.state is not ContainerState.RUNNING:
            raise ActionFailed(f"pause {self.name!r}: the engine refused: it does not run")
        self.state = ContainerState.PAUSED
        self.world.emit(self, EventKind.PAUSE)

    def unpause(self) -> None:
        """Resume it."""
        if self.state is not ContainerState.PAUSED:
            raise ActionFailed(f"unpause {self.name!r}: the engine refused: it is not paused")
        self.state = ContainerState.RUNNING
        self.world.emit(self, EventKind.UNPAUSE)

    def update_memory(self, limit_bytes: int) -> None:
        """Set the limit; refused below its present use."""
        if self.runs and limit_bytes < self.memory_bytes(self.world.now()):
            raise ActionFailed(f"update {self.name!r}: the engine refused: it uses more than that now")
        self.limit_bytes = limit_bytes
        self.world.emit(self, EventKind.UPDATE)
        self._watch_memory()

    def remove(self) -> None:
        """Remove it by force, as `docker rm -f`: no stop signal first."""
        was_running = self.runs
        self.state = ContainerState.REMOVING
        self._was_stopped = True
        if was_running:
            self.world.emit(self, EventKind.KILL, signal=SIGKILL)
            self._die(SIGKILL_EXIT)
        self._cancel_timers()
        self.world.emit(self, EventKind.DESTROY)

    # -- trouble ----------------------------------------------------------------------------------------------------

    def crash(self, ends: ProgramExit) -> None:
        """End it now and after every start, until `ends` is cleared."""
        self.ends = ends
        if self.state is ContainerState.RUNNING:
            self._later(0.0, lambda: self._finish(ends))

    def eat(self, hunger: MemoryGrowth) -> None:
        """Make the program need more memory: the kernel kills it once that exceeds the limit."""
        self.hunger, self._hungry_since = hunger, self.world.now()
        self.say("stdout", hunger.message)
        self._watch_memory()

    def lose_child(self) -> None:
        """Simulate the kernel killing a process inside other than the main one."""
        self.oom_kills += 1
        self.world.emit(self, EventKind.OOM)
        self.say("stderr", CHILD_LINE)

    def say(self, stream: Stream, line: str | bytes) -> None:
        """Write a line to its log."""
        raw = line.encode() if isinstance(line, str) else line
        self.lines.append((stream, self.world.now(), raw))

    # -- resources --------------------------------------------------------------------------------------------------

    def memory_bytes(self, now: datetime) -> int:
        """Return the working set: the usual with a little movement, plus any extra need; never above the limit."""
        up_s = (now - self.started_at).total_seconds() if self.started_at else 0.0
        grown = min(1.0, 0.6 + up_s / 60)
        usual = self.recipe.usual_mb * MIB * grown * (1 + 0.05 * wave(now.timestamp(), self._seed))
        wanted = usual + self._wanted_extra(now)
        return int(min(wanted, self.limit_bytes) if self.limit_bytes else wanted)

    def sample(self, now: datetime, host_memory: int) -> Sample:
        """Return its present resource use."""
        up_s = max(0.0, (now - self.started_at).total_seconds()) if self.started_at else 0.0
        is_busy = self._wanted_extra(now) > 0
        cpu = self.recipe.usual_cpu_pct * (1 + 0.5 * wave(now.timestamp() * 1.3, self._seed)) + (60.0 if is_busy else 0)
        cpu = 0.0 if self.state is ContainerState.PAUSED or self.is_sick else max(0.0, cpu)
        cap = self.recipe.cpus * 100
        return Sample(
            at=now,
            cpu_pct=round(min(cpu, cap) if cap else cpu, 2),
            throttled_pct=round(min(90.0, cpu - cap), 1) if cap and cpu > cap else 0.0,
            memory_bytes=max(MIB, self.memory_bytes(now)),
            memory_limit_bytes=self.limit_bytes or host_memory,
            network_rx_bytes=int(up_s * 9_000 * (1 + self._seed % 5)),
            network_tx_bytes=int(up_s * 14_000 * (1 + self._seed % 3)),
            disk_read_bytes=int(up_s * 700),
            disk_write_bytes=int(up_s * 1_900 * (1 + self._seed % 4)),
            pids=3 + self._seed % 20,
        )

    @property
    def _seed(self) -> int:
        return int(self.id[:4], 16) % 97

    def _wanted_extra(self, now: datetime) -> float:
        if self.hunger is None or self._hungry_since is None:
            return 0.0
        eaten_s = (now - self._hungry_since).total_seconds()
        return self.hunger.bytes * min(1.0, max(0.0, eaten_s) / max(self.hunger.over_s, 0.001))

    def _watch_memory(self) -> None:
        """Set the timer for the moment at which its need reaches the limit, or ends."""
        if self._memory_timer is not None:
            self._memory_timer.cancel()
            self._memory_timer = None
        if self.hunger is None or self._hungry_since is None or not self.runs:
            return
        eaten_s = (self.world.now() - self._hungry_since).total_seconds()
        room = self.limit_bytes - self.recipe.usual_mb * MIB * 0.97
        if self.limit_bytes and self.hunger.bytes > room:
            due_s = self.hunger.over_s * max(0.0, room) / self.hunger.bytes - eaten_s
            self._memory_timer = self.world.later(max(0.0, due_s), self._meet_limit)
        else:
            due_s = self.hunger.over_s + self.hunger.holds_s - eaten_s
            self._memory_timer = self.world.later(max(0.0, due_s), self._be_fed)

    def _meet_limit(self) -> None:
        if not self.runs:
            return
        self.oom_kills += 1
        self.world.emit(self, EventKind.OOM)
        self.oom_killed = True
        self._end(SIGKILL_EXIT)

    def _be_fed(self) -> None:
        if self.hunger is not None:
            self.say("stdout", self.hunger.message.replace("started", "finished"))
        self.hunger = self._hungry_since = None

    # -- its life ---------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Start the timers of a container that ran before the simulation began."""
        if self.state is ContainerState.RUNNING:
            self._begin()

    def _run(self) -> None:
        self.state = ContainerState.RUNNING
        self.started_at = self.world.now()
        self.exit_code, self.error, self.oom_killed, self.oom_kills = 0, "", False, 0
        self.is_sick = False
        self.failing_streak = 0
        self.probes.clear()
        self.health = Health.STARTING if self.recipe.health else Health.NONE
        self.world.emit(self, EventKind.START)
        self._begin()

    def _begin(self) -> None:
        ends = self.ends or self.recipe.ends
        if ends is not None:
            self._later(ends.after_s, lambda: self._finish(ends))
            return
        if self.health is Health.STARTING or self.recipe.health is None:
            for line in self.recipe.greeting:
                self.say("stdout", line)
        if self.recipe.health is not None:
            self._later(self.recipe.health.interval_s, self._probe)
        if self.recipe.chatter or self.recipe.needs:
            self._later(self.recipe.chatter_s, self._chat)
        if self.hunger is not None and self.hunger.recurs:
            hunger = self.hunger
            self._later(1.0, lambda: self.eat(hunger))

    def _finish(self, ends: ProgramExit) -> None:
        if not self.runs:
            return
        for line in ends.message:
            self.say("stderr", line)
        self._end(ends.exit_code)

    def _die(self, code: int) -> None:
        self._cancel_timers()
        self.exit_code, self.finished_at = code, self.world.now()
        if self.hunger is not None and not self.hunger.recurs:
            self.hunger = None
        self._hungry_since = None
        self.world.emit(self, EventKind.DIE, exit_code=code)

    def _end(self, code: int) -> None:
        if not self.runs:
            return
        restarts = not self._was_stopped and policy_restarts(self.recipe.restart, code)
        self.state = ContainerState.RESTARTING if restarts else ContainerState.EXITED
        self._die(code)
        if restarts:
            lasted = (self.world.now() - self.started_at).total_seconds() if self.started_at else 0.0
            self._back_offs = 0 if lasted >= BACK_OFF_RESET_S else self._back_offs
            rest_s = min(FIRST_BACK_OFF_S * 2**self._back_offs, LONGEST_BACK_OFF_S)
            self._back_offs = min(self._back_offs + 1, 12)
            self._later(rest_s, self._restart_by_policy)

    def _restart_by_policy(self) -> None:
        if self.state is ContainerState.RESTARTING:
            self.restart_count += 1
            self._run()

    def _probe(self) -> None:
        check = self.recipe.health
        if check is None:
            return
        if self.state is ContainerState.RUNNING:
            missing = self._missing()
            is_good = not self.is_sick and missing is None
            output = check.good if is_good else (unresolved_name_error(missing) if missing else check.bad)
            self.probes.append(ProbeRun(at=self.world.now(), exit_code=0 if is_good else 1, output=output))
            self.failing_streak = 0 if is_good else self.failing_streak + 1
            if is_good:
                self._turn(Health.HEALTHY)
            elif self.failing_streak >= check.retries:
                self._turn(Health.UNHEALTHY)
        self._later(check.interval_s, self._probe)

    def _turn(self, health: Health) -> None:
        if health is not self.health:
            self.health = health
            self.world.emit(self, EventKind.HEALTH, health=str(health))

    def _chat(self) -> None:
        if self.state is ContainerState.RUNNING and not self.is_sick:
            missing = self._missing()
            if missing is not None:
                self.say("stderr", f"OperationalError: {unresolved_name_error(missing)}")
            elif self.recipe.chatter and self.hunger is None:  # its worker is busy with what needs the memory
                self.say("stdout", self.recipe.chatter[self._said % len(self.recipe.chatter)])
                self._said += 1
        self._later(self.recipe.chatter_s, self._chat)

    def _missing(self) -> str | None:
        return next((one for one in self.recipe.needs if not self.world.is_up(self.recipe.stack, one)), None)

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        now = asyncio.get_running_loop().time()
        self._timers = [timer for timer in self._timers if not timer.cancelled() and timer.when() > now]
        self._timers.append(self.world.later(delay_s, call))

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if self._memory_timer is not None:
            self._memory_timer.cancel()
            self._memory_timer = None

    def let_go(self) -> None:
        """Cancel all timers."""
        self._cancel_timers()
