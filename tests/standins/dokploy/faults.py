"""What can go wrong between a client and Dokploy, on purpose."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

ANY = "*"


class Fault(Enum):
    """What happens to one call."""

    HANG = "never answered"
    BAD_GATEWAY = "answered by the proxy: 502"
    DROP = "the connection is closed before anything is done"
    LOSE_ANSWER = "everything is done, then the connection is closed"


@dataclass(kw_only=True)
class Asked:
    """One request as it came."""

    procedure: str
    method: str
    at: float
    """time.monotonic()"""
    params: dict[str, Any]
    key: str | None
    """The name of its key; None when the key was refused or not looked at."""
    status: int | None = None
    """None until it is answered, and for ever when it never is."""


@dataclass(kw_only=True)
class Faults:
    """Orders for the calls to come, and the log of those that came."""

    latency_s: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    is_released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: what hangs ends, its connection closed."""
    _orders: dict[str, deque[Fault]] = field(default_factory=dict)

    def order(self, procedure: str, fault: Fault, times: int = 1) -> None:
        """The next calls of the procedure (`*`: of any) meet this fault."""
        self._orders.setdefault(procedure, deque()).extend([fault] * times)

    def forget(self) -> None:
        """No fault is left."""
        self._orders.clear()

    def next(self, procedure: str) -> Fault | None:
        """Take the order for this call."""
        for name in (procedure, ANY):
            if left := self._orders.get(name):
                return left.popleft()
        return None

    def came(self, procedure: str, method: str, params: dict[str, Any]) -> Asked:
        """Note a request."""
        asked = Asked(procedure=procedure, method=method, at=time.monotonic(), params=params, key=None)
        self.asked.append(asked)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        return asked
