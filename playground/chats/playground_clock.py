"""The playground's time: the wall clock, which a test can set forward."""

import time


class PlaygroundClock:
    """Wall-clock seconds plus what `advance` added."""

    def __init__(self) -> None:
        self._ahead_s = 0.0

    def now(self) -> float:
        return time.time() + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once, so that queries and updates grow old."""
        self._ahead_s += seconds
