"""Interface of an outside system; each part is optional, and the composition root loops over them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr

from core.actions.catalog import Toolset
from core.bus import Reaction
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


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One check of `infraguardian check`: fine, or the problem and the next step."""

    name: Text
    ok: bool
    problem: Text | None = None
    next_step: Text | None = None


class Hook(Protocol):
    """Receives the notifications of one system."""

    @property
    def secret(self) -> str | None:
        """Required value of the secret header; None: no notification is accepted."""
        ...

    async def take(self, body: Mapping[str, object]) -> None:
        """Process one notification; any error is logged, without the body."""
        ...


class EmbeddingModel(Protocol):
    """A model that turns texts into vectors."""

    async def current(self) -> str | None:
        """Return `name@digest` of the model that would answer now; None: it is down."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector per text; raises a GuardianError when it cannot."""
        ...


@dataclass(frozen=True, kw_only=True)
class FollowedPlatform:
    """A platform whose deploys are followed to their verdict."""

    platform: DeployPlatform
    settings: DokploySettings
    look: Callable[[], Awaitable[object]]
    """Polls the platform now: an alert held back during a deploy may be caused by that very deploy."""


@dataclass(kw_only=True)
class Shared:
    """Parts that integrations share with one another."""

    names: StackNames = field(default_factory=StackNames)
    """Readable names of the stacks that a platform has named."""
    images: Images = field(init=False)
    """The images on the watched engines, provided by the integration that has them."""


@dataclass(frozen=True, kw_only=True)
class IntegrationDeps:
    """Parts that the guardian provides to every integration."""

    settings: Settings
    clock: Clock
    redact: Callable[[str], str]
    values: Values
    deploys: Deploys
    versions: Versions
    images_in_use: Callable[[], Awaitable[Collection[str]]]
    """Ids (sha256:…) and digest references of images that no clean-up may remove."""
    series: Series
    own_acts: OwnActs
    inventory: Callable[[], Inventory]
    """Everything that is watched, as last seen."""
    look_again: Callable[[], None]
    """Makes every watcher look now."""
    is_demo: bool = False
    shared: Shared = field(default_factory=Shared)

    def hook_secret(self, name: str) -> SecretStr | None:
        """Return the secret that `/hooks/<name>` requires; None: it accepts nothing."""
        return self.settings.web.hook_secrets.get(name)


class Integration:
    """One outside system, with nothing to offer by default; a system overrides the parts it has.

    Creating one opens nothing: documents and runbooks are checked against `toolsets` without a connection. The other
    methods are called after `open`, in the order of this class.
    """

    def __init__(self, deps: IntegrationDeps) -> None:
        self.deps = deps

    async def open(self, stack: AsyncExitStack) -> None:
        """Connect; register everything that must be closed on the stack."""

    def toolsets(self) -> Sequence[Toolset]:
        """Return its actions; those of a system that is not configured are listed but unavailable."""
        return ()

    def watchers(self, sink: AlertSink) -> Sequence[Watcher]:
        """Return its watchers."""
        return ()

    def simulated_hosts(self) -> Collection[str]:
        """Return the names of its simulated hosts."""
        return ()

    def hooks(self, alerts: ExternalAlerts) -> Mapping[str, Hook]:
        """Return the receivers of `/hooks/<name>`; a system that reports alerts makes its hook with `alerts.hook`."""
        return {}

    def model(self) -> LanguageModel | None:
        """Return a language model, or None."""
        return None

    def embeddings(self) -> EmbeddingModel | None:
        """Return a model for the incident memory, or None."""
        return None

    def followed(self) -> FollowedPlatform | None:
        """Return the platform that runs our deploys, or None."""
        return None

    def reactions(self) -> Sequence[Reaction]:
        """Return the events it listens to."""
        return ()

    async def begin(self, tasks: Tasks) -> None:
        """Start its background tasks, once everything else is up."""

    async def preload(self) -> None:
        """Load whatever would delay the first incident or the first question."""

    async def tick(self) -> None:
        """Do periodic work; called every few seconds."""

    def health(self) -> Mapping[str, object]:
        """Return its entries in the health report."""
        return {}

    async def greeting(self) -> Sequence[Text]:
        """Return the lines about it that the terminal shows after the start."""
        return ()

    async def checks(self, *, quick: bool) -> AsyncIterator[CheckLine]:
        """Yield its results for `infraguardian check`, without `open`; `quick`: skip the slow ones."""
        nothing: Sequence[CheckLine] = ()
        for line in nothing:
            yield line


Install = Callable[[IntegrationDeps], Integration]
"""Creates an integration, if the settings configure one."""
