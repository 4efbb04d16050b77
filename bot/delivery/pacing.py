"""Telegram's rate limits per chat, as pure arithmetic over a monotonic clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

BURST = 5
"""Messages that a chat takes in quick succession: "short bursts" in the Bot API's FAQ."""
BURST_S = 5.1
"""Window of a burst, seconds: one message a second, plus some network time."""
GROUP_PER_MINUTE = 20
"""Sends and edits together; core.telegram.org/bots/faq and tdlib/td#2592."""
GROUP_RESERVE = 5
"""Part of them kept for urgent messages: new cards and approvals."""
MINUTE_S = 60.0


OVERALL_PER_SECOND = 25.0
"""Over all chats; the Bot API's FAQ says about 30."""


@dataclass(kw_only=True)
class OverallPace:
    """Rate limit over all chats."""

    _tokens: float = OVERALL_PER_SECOND
    _filled_at: float = 0.0

    def take(self, now: float) -> float:
        """Reserve the next slot; returns the seconds until it."""
        filled = self._tokens + (now - self._filled_at) * OVERALL_PER_SECOND
        self._tokens, self._filled_at = min(OVERALL_PER_SECOND, filled) - 1.0, now
        return max(0.0, -self._tokens / OVERALL_PER_SECOND)


@dataclass(kw_only=True)
class ChatPace:
    """Rate limit of one chat, for messages and edits."""

    is_group: bool
    edit_pace_s: float
    _sent: deque[float] = field(default_factory=deque)
    _written: dict[int, float] = field(default_factory=dict)
    _closed_until: float = 0.0

    def close(self, now: float, seconds: float) -> None:
        """Block the chat for so many seconds, as Telegram demanded."""
        self._closed_until = max(self._closed_until, now + seconds)

    def wait_s(self, now: float, *, message: int, is_edit: bool, is_urgent: bool) -> float:
        """Seconds until a message may be sent or edited.

        An urgent new message goes at once; an urgent edit (the cause, an approval, the end) skips the pause between
        edits of its message. Nothing skips Telegram's own limits.
        """
        waits = [self._closed_until - now]
        if self.is_group:
            limit = GROUP_PER_MINUTE if is_urgent else GROUP_PER_MINUTE - GROUP_RESERVE
            waits.append(self._window_wait(now, limit, MINUTE_S))
        if is_edit and not is_urgent:
            waits.append(self._written.get(message, -MINUTE_S) + self.edit_pace_s - now)
        if is_edit or not is_urgent:
            waits.append(self._window_wait(now, BURST, BURST_S))
        return max(0.0, *waits)

    def went(self, now: float, *, message: int) -> None:
        """Record that a message was sent or edited."""
        self._sent.append(now)
        while self._sent and now - self._sent[0] > MINUTE_S:
            self._sent.popleft()
        self._written[message] = now
        if len(self._written) > 200:
            self._written = {key: at for key, at in self._written.items() if now - at < MINUTE_S}

    def _window_wait(self, now: float, limit: int, window_s: float) -> float:
        recent = [at for at in self._sent if now - at < window_s]
        return recent[-limit] + window_s - now if len(recent) >= limit else 0.0
