"""Clock of the playground: wall time, which a test can set forward."""

import time


class PlaygroundClock:
    """Wall-clock seconds plus what `advance` added."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Set the clock forward, so that queries and updates expire."""
        self._ahead_s += seconds
