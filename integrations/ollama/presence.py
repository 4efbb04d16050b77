"""Record of the model server being up or down; logs once when it goes and once when it is back."""

from __future__ import annotations

from datetime import datetime

import structlog

from core.clock import Clock

log = structlog.get_logger(__name__)


class ServerPresence:
    """Up or down state of the server; up until a request fails."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self.is_up = True
        self.since: datetime = clock.now()

    def seen(self) -> None:
        """Note that the server answered."""
        if not self.is_up:
            away_s = (self._clock.now() - self.since).total_seconds()
            self._turn(True)
            log.info("the model is back", action="model_back", url=self._url, away_s=round(away_s))

    def missed(self, problem: str) -> None:
        """Note that the server could not be reached."""
        if self.is_up:
            self._turn(False)
            log.warning("the model is gone", action="model_gone", url=self._url, problem=problem)

    def _turn(self, is_up: bool) -> None:
        self.is_up = is_up
        self.since = self._clock.now()
