"""How fast one may write: Telegram's limits per chat, as pure arithmetic over a monotonic clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

BURST = 4
"""Messages that may follow each other at once in a chat: "short bursts" of the Bot API's FAQ."""
PER_SECOND = 1.0
GROUP_PER_MINUTE = 20
"""Sends and edits together; core.telegram.org/bots/faq and tdlib/td#2592."""
MINUTE_S = 60.0


@dataclass(kw_only=True)
class ChatPace:
    """When the next message or edit of one chat may go."""

    is_group: bool
    edit_pace_s: float
    _tokens: float = BURST
    _filled_at: float = 0.0
    _minute: deque[float] = field(default_factory=deque)
    _written: dict[int, float] = field(default_factory=dict)
    _closed_until: float = 0.0

    def close(self, now: float, seconds: float) -> None:
        """Nothing may go for so long: Telegram said so."""
        self._closed_until = max(self._closed_until, now + seconds)

    def wait_s(self, now: float, *, message: int, is_edit: bool, is_urgent: bool) -> float:
        """Seconds until this may go.

        An urgent new message goes at once; an urgent edit (the cause, a question, the end) skips the rest that a
        message takes between edits. Nothing skips what Telegram itself limits.
        """
        waits = [self._closed_until - now]
        if self.is_group:
            waits.append(self._minute_wait(now))
        if is_edit and not is_urgent:
            waits.append(self._written.get(message, -MINUTE_S) + self.edit_pace_s - now)
        if is_edit or not is_urgent:
            waits.append((1.0 - self._tokens_at(now)) / PER_SECOND)
        return max(0.0, *waits)

    def went(self, now: float, *, message: int) -> None:
        """A message was sent or edited."""
        self._tokens, self._filled_at = max(-float(BURST), self._tokens_at(now) - 1.0), now
        self._minute.append(now)
        while self._minute and now - self._minute[0] > MINUTE_S:
            self._minute.popleft()
        self._written[message] = now
        if len(self._written) > 200:
            self._written = {key: at for key, at in self._written.items() if now - at < MINUTE_S}

    def _tokens_at(self, now: float) -> float:
        return min(BURST, self._tokens + (now - self._filled_at) * PER_SECOND)

    def _minute_wait(self, now: float) -> float:
        recent = [at for at in self._minute if now - at < MINUTE_S]
        return recent[-GROUP_PER_MINUTE] + MINUTE_S - now if len(recent) >= GROUP_PER_MINUTE else 0.0
