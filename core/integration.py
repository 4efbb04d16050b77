"""What an outside system brings to the guardian; each part is optional, and the composition root loops over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr

from core.actions.catalog import Toolset
from core.bus import Reaction
from core.checks import CheckLine
from core.clock import Clock
from core.deployments.deploys import DeployPlatform, Deploys, Images, Versions
from core.deployments.platform import StackNames
from core.incidents.external_alerts import ExternalAlerts, Values
from core.language_model import LanguageModel
from core.monitoring.inventory import Inventory
from core.monitoring.usage_series import Series
from core.monitoring.watcher import AlertSink, OwnActs, Watcher
from core.settings import DokploySettings, Settings
from core.tasks import Tasks
from core.text import Text


class Hook(Protocol):
    """Takes the notifications of one system."""

    @property
    def secret(self) -> str | None:
        """What the header must hold; None: nothing is taken."""
        ...

    async def take(self, body: Mapping[str, object]) -> None:
        """Act on one notification; whatever it raises is logged, without the body."""
        ...


class Embeddings(Protocol):
    """A model that turns texts into vectors."""

    async def current(self) -> str | None:
        """`name@digest` of the model that would answer now; None: it is down."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One vector a text; raises a GuardianError when it cannot."""
        ...


@dataclass(frozen=True, kw_only=True)
class FollowedPlatform:
    """A platform whose deploys are followed to their verdict."""

    platform: DeployPlatform
    settings: DokploySettings
    look: Callable[[], Awaitable[object]]
    """Asks it now: the cause of what a deploy held back may be that very deploy."""


@dataclass(kw_only=True)
class Shared:
    """What integrations give one another."""

    names: StackNames = field(default_factory=StackNames)
    """What people call the stacks that a platform has named."""
    images: Images = field(init=False)
    """The images on the watched engines, from whoever has these."""


@dataclass(frozen=True, kw_only=True)
class IntegrationDeps:
    """What the guardian gives to every integration."""

    settings: Settings
    clock: Clock
    redact: Callable[[str], str]
    values: Values
    deploys: Deploys
    versions: Versions
    images_in_use: Callable[[], Awaitable[Collection[str]]]
    """Ids (sha256:…) and digest references of images that no clean-up may take."""
    series: Series
    own_acts: OwnActs
    inventory: Callable[[], Inventory]
    """Everything that is watched, as last seen."""
    look_again: Callable[[], None]
    """Makes every watcher look now."""
    is_demo: bool = False
    shared: Shared = field(default_factory=Shared)

    def hook_secret(self, name: str) -> SecretStr | None:
        """What `/hooks/<name>` demands; None: it takes nothing."""
        return self.settings.web.hook_secrets.get(name)


class Integration:
    """One outside system, as far as it brings nothing; a system overrides what it has.

    Making one opens nothing: documents and runbooks are checked against `toolsets` without a connection. Everything
    else is called after `open`, in the order of the methods here.
    """

    def __init__(self, deps: IntegrationDeps) -> None:
        self.deps = deps

    async def open(self, stack: AsyncExitStack) -> None:
        """Connect; what must be closed goes on the stack."""

    def toolsets(self) -> Sequence[Toolset]:
        """Its actions; those of a system that is not configured are unavailable, and known all the same."""
        return ()

    def watchers(self, sink: AlertSink) -> Sequence[Watcher]:
        """Its eyes."""
        return ()

    def simulated_hosts(self) -> Collection[str]:
        """Which of its hosts are no real ones."""
        return ()

    def hooks(self, alerts: ExternalAlerts) -> Mapping[str, Hook]:
        """What listens at `/hooks/<name>`; a system that reports alerts makes its hook with `alerts.hook`."""
        return {}

    def model(self) -> LanguageModel | None:
        """A language model."""
        return None

    def embeddings(self) -> Embeddings | None:
        """A model for the incident memory."""
        return None

    def followed(self) -> FollowedPlatform | None:
        """The platform on which deploys of ours run."""
        return None

    def reactions(self) -> Sequence[Reaction]:
        """The events that it hears of."""
        return ()

    async def begin(self, tasks: Tasks) -> None:
        """Start what runs beside everything else: all is up now."""

    async def preload(self) -> None:
        """Load what the first incident and the first question would otherwise wait for."""

    async def tick(self) -> None:
        """Do what is only due by the clock; called every few seconds."""

    def health(self) -> Mapping[str, object]:
        """Its entries in the health report."""
        return {}

    async def greeting(self) -> Sequence[Text]:
        """What is said of it on the terminal once everything runs."""
        return ()

    async def checks(self, *, quick: bool) -> AsyncIterator[CheckLine]:
        """What `infraguardian check` finds out about it, without `open`; `quick`: leave out what takes long."""
        nothing: Sequence[CheckLine] = ()
        for line in nothing:
            yield line


Install = Callable[[IntegrationDeps], Integration]
"""Makes an integration as far as the settings have one."""
