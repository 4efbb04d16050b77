"""Parts of one Dokploy, opened and closed together: client, watched source, domains, follower, announcements."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import datetime
from types import TracebackType
from typing import Self

from core.clock import Clock
from core.deployments.platform import StackNames
from core.error_text import own_words
from core.errors import GuardianError
from core.text import Text, text
from integrations.dokploy.access_check import missing_rights
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.deploys.deploy_follower import DokployFollower, ReadContainer
from integrations.dokploy.polling.domain_watch import DomainWatch
from integrations.dokploy.polling.platform_source import DokploySource
from integrations.dokploy.polling.poll_rotation import PollTopic

WARM_UP_LIMIT_S = 6.0
"""Time the start waits for the first answers, because the names of stacks come from them."""


class DokploySystem:
    """Context manager of all parts; `warm_up` loads everything once, before anything is watched."""

    def __init__(
        self,
        client: Dokploy,
        names: StackNames,
        *,
        clock: Clock,
        since: datetime,
        redact: Callable[[str], str],
        read: ReadContainer,
        on_names: Callable[[], None] | None = None,
    ) -> None:
        """Take `read`, which builds a container from a `docker inspect`, and `since`: earlier events are history."""
        self.client = client
        self._settings = settings = client.settings
        self.domains = DomainWatch(settings, lambda: self.source.managed(), clock=clock)
        self.source = DokploySource(
            self.client,
            settings,
            names,
            clock=clock,
            since=since,
            redact=redact,
            domain_states=self.domains.states,
            on_names=on_names,
        )
        self.follower = DokployFollower(self.client, redact, read)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def warm_up(self) -> list[Text]:
        """Load everything within a time limit; return the notices for the start."""
        try:
            async with asyncio.timeout(WARM_UP_LIMIT_S):
                await self.source.look()
        except (GuardianError, TimeoutError) as error:
            late = text("error.late", seconds=WARM_UP_LIMIT_S)
            problem = own_words(error) if isinstance(error, GuardianError) else late
            return [text("start.dokploy_down", url=self._settings.url, problem=problem)]
        limits = [text("start.dokploy_limit", problem=_forbidden_notice(topic)) for topic in self.source.limits]
        return [
            text("start.dokploy", url=self._settings.url, count=len(self.source.managed())),
            *limits,
            *await self._lacks(),
        ]

    async def _lacks(self) -> list[Text]:
        """Return each missing right with what is refused without it; none if Dokploy does not send them."""
        try:
            async with asyncio.timeout(WARM_UP_LIMIT_S):
                rights = await self.client.users.permissions()
        except (GuardianError, TimeoutError):
            return []
        return [
            text("start.dokploy_right", right=right, lost=text(f"dokploy_check.without.{right.replace(':', '_')}"))
            for right in missing_rights(rights)
        ]

    async def watch_domains(self) -> None:
        """Start asking the domains; call it once everything else runs."""
        await self._stack.enter_async_context(self.domains)


def _forbidden_notice(topic: PollTopic) -> Text:
    return text("dokploy_error.no_right", what=text(f"dokploy_error.topic.{topic}"))
