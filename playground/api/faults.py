"""Faults on demand: bad days of the real server and the network, for the calls that a test names."""

import time
from dataclasses import dataclass, field
from typing import Literal

from playground.api.bot_api_wire import ApiError, Json
from playground.api.methods.callback_answers import CALLBACK_TOO_OLD
from playground.api.update_queue import OTHER_POLL_CONFLICT

PER_CHAT_PER_S = 1.0
PER_CHAT_BURST = 5
PER_GROUP_PER_MINUTE = 20
OVERALL_PER_S = 30
_LIMITED = ("send", "edit", "createforumtopic", "copy", "forward")
_FREE = frozenset({"sendchataction"})

FaultStage = Literal["before", "after"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault; `stage` is "after" when the method is carried out before it strikes."""

    error: ApiError | None = None
    html_status: int = 0
    is_reset: bool = False
    delay_s: float = 0.0
    stage: FaultStage = "before"
    holds_s: float = 0.0

    @staticmethod
    def too_many(*, retry_after: int, holds: bool = False) -> "Fault":
        """Answer 429; with `holds`, every call that the rule matches is refused until the seconds are over."""
        error = ApiError(429, f"Too Many Requests: retry after {retry_after}", {"retry_after": retry_after})
        return Fault(error=error, holds_s=float(retry_after) if holds else 0.0)

    @staticmethod
    def bad_gateway(*, stage: FaultStage = "before") -> "Fault":
        """Answer 502 with an HTML body, as the proxy in front of the real server does."""
        return Fault(html_status=502, stage=stage)

    @staticmethod
    def reset(*, stage: FaultStage) -> "Fault":
        """Break the connection; "after": the method was carried out and the bot does not know."""
        return Fault(is_reset=True, stage=stage)

    @staticmethod
    def slow(seconds: float, *, stage: FaultStage = "after") -> "Fault":
        """Answer late; by default the method was carried out at once."""
        return Fault(delay_s=seconds, stage=stage)

    @staticmethod
    def refuse(code: int, description: str, parameters: Json | None = None) -> "Fault":
        """Refuse with any error; `description` is sent as is, so it includes its prefix."""
        return Fault(error=ApiError(code, description, parameters))

    @staticmethod
    def conflict() -> "Fault":
        return Fault.refuse(409, OTHER_POLL_CONFLICT)

    @staticmethod
    def parse_error(byte_offset: int = 0) -> "Fault":
        return Fault.refuse(
            400,
            f"Bad Request: can't parse entities: Can't find end of the entity starting at byte offset {byte_offset}",
        )

    @staticmethod
    def blocked() -> "Fault":
        return Fault.refuse(403, "Forbidden: bot was blocked by the user")

    @staticmethod
    def migrate(new_chat_id: int) -> "Fault":
        description = "Bad Request: group chat was upgraded to a supergroup chat"
        return Fault.refuse(400, description, {"migrate_to_chat_id": new_chat_id})

    @staticmethod
    def thread_not_found() -> "Fault":
        return Fault.refuse(400, "Bad Request: message thread not found")

    @staticmethod
    def expired_callback() -> "Fault":
        return Fault.refuse(400, f"Bad Request: {CALLBACK_TOO_OLD}")

    @staticmethod
    def unauthorized() -> "Fault":
        return Fault.refuse(401, "Unauthorized")

    @staticmethod
    def internal_error() -> "Fault":
        return Fault.refuse(500, "Internal Server Error")


@dataclass(kw_only=True)
class _Rule:
    method: str
    fault: Fault
    times: int
    skip: int
    chat_id: int | None
    until: float = 0.0

    def matches(self, method: str, chat_id: int | None) -> bool:
        return self.method in {"*", method} and self.chat_id in {None, chat_id}


@dataclass
class RateLimits:
    """Rate limits like the real server's, which are not published: figures from its FAQ; edits count like sends."""

    burst: int = PER_CHAT_BURST
    per_chat_per_s: float = PER_CHAT_PER_S
    per_group_per_minute: int = PER_GROUP_PER_MINUTE
    overall_per_s: int = OVERALL_PER_S
    _sent: dict[int, list[float]] = field(default_factory=dict)
    _all: list[float] = field(default_factory=list)

    def check(self, chat_id: int) -> None:
        """Count one message to the chat, or refuse it with the seconds to wait."""
        now = time.monotonic()
        sent = self._sent[chat_id] = [at for at in self._sent.get(chat_id, []) if now - at < 60]
        self._all = [at for at in self._all if now - at < 1]
        window_s = self.burst / self.per_chat_per_s
        waits = [
            _wait(sent, self.burst, window_s, now),
            _wait(sent, self.per_group_per_minute, 60.0, now) if chat_id < 0 else 0.0,
            _wait(self._all, self.overall_per_s, 1.0, now),
        ]
        if max(waits) > 0:
            seconds = int(max(waits)) + 1
            raise ApiError(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
        sent.append(now)
        self._all.append(now)


def _wait(moments: list[float], limit: int, window_s: float, now: float) -> float:
    recent = [at for at in moments if now - at < window_s]
    return window_s - (now - recent[-limit]) if len(recent) >= limit else 0.0


class FaultPlan:
    """Faults still to come; `rates` switches on the real server's limits."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self.rates: RateLimits | None = None

    def add(self, method: str, fault: Fault, *, times: int = 1, skip: int = 0, chat_id: int | None = None) -> None:
        """Let the next `times` calls of `method` ("*": any) meet `fault`, after `skip` calls that succeed."""
        self._rules.append(_Rule(method=method.lower(), fault=fault, times=times, skip=skip, chat_id=chat_id))

    def limit_rates(self, rates: RateLimits | None = None) -> None:
        """Refuse floods with 429 from now on."""
        self.rates = rates or RateLimits()

    def clear(self) -> None:
        self._rules.clear()
        self.rates = None

    @property
    def outstanding(self) -> int:
        """Number of calls that are still going to meet a fault."""
        return sum(rule.times for rule in self._rules)

    def take(self, method: str, chat_id: int | None) -> Fault | None:
        """Return the fault that this call meets, and count it."""
        method, now = method.lower(), time.monotonic()
        self._rules = [rule for rule in self._rules if rule.times > 0 or now < rule.until]
        for rule in self._rules:
            if not rule.matches(method, chat_id):
                continue
            if now < rule.until:
                return Fault.too_many(retry_after=int(rule.until - now) + 1)
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.times <= 0:
                continue
            rule.times -= 1
            rule.until = now + rule.fault.holds_s if rule.fault.holds_s else 0.0
            return rule.fault
        return None

    def check_rate(self, method: str, chat_id: int | None) -> None:
        """Refuse the call when its chat has had too many messages lately."""
        method = method.lower()
        if self.rates is not None and chat_id and method.startswith(_LIMITED) and method not in _FREE:
            self.rates.check(chat_id)
