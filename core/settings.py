"""Every setting with its default, as frozen models; the root fills them from the environment, then the YAML file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from core.text import Language


class Autonomy(StrEnum):
    """How much runbooks may do alone on a stack, least first."""

    OBSERVE = "observe"
    """Only say."""
    PROPOSE = "propose"
    """Ask for everything."""
    GUARDED = "guarded"
    """Safe steps, and proven disruptive ones on services that are not critical; ask for the rest."""
    AUTO = "auto"
    """Act alone within the budget; only what destroys is asked."""


class Section(BaseModel):
    """A group of settings: unknown names are refused, so that a typing error is heard of."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Seconds = Annotated[float, Field(gt=0)]
Percent = Annotated[float, Field(gt=0, le=100)]


class TelegramSettings(Section):
    """The chat."""

    token: SecretStr | None = None
    """From @BotFather. None: the playground opens instead."""
    admins: tuple[int, ...] = ()
    """Numeric user ids that are always admin. Empty: the first start prints a one-time enrolment link."""
    operators: tuple[int, ...] = ()
    viewers: tuple[int, ...] = ()
    alert_chats: tuple[int, ...] = ()
    """Where cards go. Empty: to every admin's private chat."""
    api_url: str = "https://api.telegram.org"
    """Own Bot API server, when you run one."""
    webhook_url: str | None = None
    """Public https address of this program. None: long polling."""
    webhook_secret: SecretStr | None = None
    poll_timeout_s: Annotated[int, Field(ge=1, le=50)] = 30
    edit_pace_s: Seconds = 1.5
    """Least time between two edits in a private chat; groups take `group_edit_pace_s`."""
    group_edit_pace_s: Seconds = 4.0
    stale_order_s: Seconds = 600.0
    """A command that changes something and is older than this (after a downtime) is not carried out, but answered."""


class EngineSettings(Section):
    """One Docker engine."""

    url: str = "unix:///var/run/docker.sock"
    """unix:///path · tcp://host:2376 (with the three TLS files) · ssh://user@host"""
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    ssh_key: Path | None = None
    timeout_s: Seconds = 10.0
    threads: Annotated[int, Field(ge=2, le=64)] = 8
    """Size of the engine's own thread pool."""
    cgroup_root: Path = Path("/sys/fs/cgroup")
    """Where samples of a local engine are read; the API is used when it is not there."""

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if not value.startswith(("unix://", "tcp://", "ssh://")):
            raise ValueError(f"{value!r} is no engine address: use unix:///path, tcp://host:port or ssh://user@host")
        return value


class OllamaSettings(Section):
    """The language model."""

    url: str = "http://127.0.0.1:11434"
    model: str = "gpt-oss:20b"
    digest: str | None = None
    """Expected digest of the model; a different one is reported. None: any."""
    embedding_model: str | None = "qwen3-embedding:0.6b"
    num_ctx: Annotated[int, Field(ge=2048)] = 32768
    """One value everywhere: a different one would reload the model."""
    num_predict: Annotated[int, Field(ge=64)] = 4096
    parallel: Annotated[int, Field(ge=1)] = 1
    """Same as the server's OLLAMA_NUM_PARALLEL."""
    queue: Annotated[int, Field(ge=1)] = 16
    """Requests that may wait; the next one is refused at once."""
    timeout_s: Seconds = 300.0
    connect_timeout_s: Seconds = 5.0
    keep_alive: str = "30m"
    breaker_failures: Annotated[int, Field(ge=1)] = 3
    breaker_rest_s: Seconds = 30.0


class DokploySettings(Section):
    """Dokploy."""

    url: str
    """https://dokploy.example.com or http://10.0.0.5:3000, without `/api`."""
    api_key: Annotated[SecretStr, Field(min_length=1)]
    """Made in Dokploy's profile page without a rate limit; one with the default limit lets 5 calls a day through."""
    organization_id: str | None = None
    """The organization the key should belong to; another one is reported. None: any."""
    tls_ca: Path | None = None
    """The authority that signed its certificate, where it is your own."""
    timeout_s: Seconds = 20.0
    """Of calls that answer at once."""
    slow_timeout_s: Annotated[float, Field(ge=60)] = 180.0
    """Of calls that answer when the work is done: start, stop, restart."""
    long_timeout_s: Annotated[float, Field(ge=60)] = 1800.0
    """Of calls that may pull images or copy data: deploying a database, a backup."""
    connect_timeout_s: Seconds = 5.0
    at_once: Annotated[int, Field(ge=1, le=32)] = 8
    """Quick calls under way at once."""
    slow_at_once: Annotated[int, Field(ge=1, le=32)] = 4
    """Slow and long calls under way at once, besides the quick ones."""
    waiting: Annotated[int, Field(ge=1)] = 256
    """Calls that may wait for their turn; the next one is refused at once."""
    pace_s: Annotated[float, Field(ge=0)] = 0.02
    """Least time between the starts of two calls."""
    retries: Annotated[int, Field(ge=0, le=3)] = 2
    """How often a read is tried again while Dokploy cannot be reached; what changes something never is."""
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    breaker_rest_s: Seconds = 15.0
    webhook_secret: SecretStr | None = None
    """What Dokploy's custom notification must send in the header `X-InfraGuardian-Secret` to `/hooks/dokploy`. None:
    that address takes nothing."""
    poll_s: Seconds = 8.0
    """How often all deployments are asked for, in one call."""
    sweep_s: Seconds = 14.0
    """Pause between two of the other questions, which go round: queue, projects, domains, backups."""
    follow_s: Seconds = 1.0
    """How often a deploy of ours is looked at while it is under way."""
    never_after_s: Seconds = 20.0
    """A deploy that Dokploy neither queued nor ran by then never arrived there."""
    deploy_limit_s: Seconds = 3600.0
    """A deploy that has no end by then is given up as unknown."""
    stuck_after_s: Seconds = 1200.0
    """A deployment that runs longer is taken for stuck, and those behind it for blocked."""
    ask_domains: bool = True
    """Ask each domain over HTTP from here, and look at its certificate."""
    domains_s: Seconds = 300.0
    """How often each domain is asked."""
    certificate_days: Annotated[int, Field(ge=1)] = 7
    """A certificate that ends sooner is reported."""
    versions_kept: Annotated[int, Field(ge=2)] = 20
    """Versions of a stack that are kept to roll back to."""

    @field_validator("url")
    @classmethod
    def _base_address(cls, value: str) -> str:
        """Without a trailing slash or `/api`; the key is the only secret that is sent."""
        if any(sign in value for sign in "@?#"):
            raise ValueError("give the address alone: no name and password, no question mark; the key is `api_key`")
        scheme, _, rest = value.strip().partition("://")
        if scheme not in ("http", "https") or not rest.strip("/"):
            raise ValueError(f"{value!r} is no address: use https://dokploy.example.com")
        return f"{scheme}://{rest}".rstrip("/").removesuffix("/api").rstrip("/")


class WatchSettings(Section):
    """What the watcher looks at, and when it speaks."""

    only: tuple[str, ...] = ()
    """Guard only these stacks (or containers outside a stack); `*` stands for anything. Empty: all."""
    ignore: tuple[str, ...] = ()
    """Never guard these; wins over `only`."""
    poll_s: Seconds = 10.0
    """A full look at least this often; events wake it at once."""
    stats_s: Seconds = 10.0
    memory_near_pct: Percent = 92.0
    cpu_pegged_pct: Percent = 95.0
    """Of the container's own limit, or of the host where it has none."""
    cpu_throttled_pct: Percent = 50.0
    """Share of periods in which the quota held it back."""
    sustained_s: Seconds = 120.0
    """How long memory or CPU must stay there."""
    crash_loop_restarts: Annotated[int, Field(ge=2)] = 3
    crash_loop_within_s: Seconds = 120.0
    unreachable_after_s: Seconds = 15.0
    flap_changes: Annotated[int, Field(ge=2)] = 5
    """So many openings of the same trouble within `flap_within_s` is flapping: one quiet card."""
    flap_within_s: Seconds = 900.0
    group_within_s: Seconds = 120.0
    """A victim's alert this long after its root's joins the root's incident."""
    reported_kept_s: Seconds = 86_400.0
    """An alert that another system reported, and of which nothing more was heard for so long, counts as over."""


class VerificationSettings(Section):
    """How long a repair must hold."""

    window_s: Seconds = 30.0
    """The least; grows with learnt start time, start period, health interval and back-off."""
    poll_s: Seconds = 2.0
    limit_s: Seconds = 600.0
    """A target that has not come up by then has failed."""


class PolicySettings(Section):
    """Numbers of the policy."""

    autonomy: Autonomy = Autonomy.GUARDED
    """For stacks that name none."""
    attempts_per_incident: Annotated[int, Field(ge=1)] = 2
    disruptive_per_hour: Annotated[int, Field(ge=1)] = 3
    """Disruptive actions of the machine per service and hour."""
    changes_per_day: Annotated[int, Field(ge=1)] = 6
    """Changes that `auto` may make alone per stack and day."""
    proven_after: Annotated[int, Field(ge=1)] = 3
    model_tokens_per_incident: Annotated[int, Field(ge=1000)] = 25_000
    approval_s: Seconds = 1800.0
    second_person_for_destructive: bool = False
    critical_words: tuple[str, ...] = (
        "postgres",
        "mysql",
        "mariadb",
        "mongo",
        "redis",
        "valkey",
        "traefik",
        "nginx",
        "caddy",
        "haproxy",
        "dokploy",
        "infraguardian",
        "ollama",
    )
    """An image whose name holds one of these makes its service critical (databases, proxies, our own parts)."""
    critical_label: str = "infraguardian.critical"


class StackSettings(Section):
    """One stack's own rules."""

    autonomy: Autonomy | None = None
    critical: tuple[str, ...] = ()
    """Services that are critical besides those that the policy recognises."""
    chat: int | None = None


class RetentionSettings(Section):
    """How long records are kept. Open incidents stay, with all that belongs to them; lessons are never forgotten."""

    history_days: Annotated[int, Field(ge=1)] = 400
    """Closed incidents with their calls, approvals and cards; deploys; the audit. A year, and some days to compare."""
    undo_days: Annotated[int, Field(ge=1)] = 30
    """What an action has kept to be taken back, secrets included (encrypted)."""
    runs_days: Annotated[int, Field(ge=1)] = 30
    """Runs that are over."""
    messages_days: Annotated[int, Field(ge=8)] = 14
    """Messages that were handled or sent. More than a week: it is what makes a repeated one known."""


class WebSettings(Section):
    """The one web application: health, webhooks."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8321
    """0: any free port."""
    hook_secrets: dict[str, SecretStr] = Field(default_factory=dict)
    """What another system must send in the header `X-InfraGuardian-Secret` to `/hooks/<name>`, by that name; an address
    without one takes nothing. Dokploy's is `dokploy.webhook_secret`."""


class PlaygroundSettings(Section):
    """The local chat page, opened when there is no Telegram token. Loopback only."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8322
    person: str = "Ada"


class DemoSettings(Section):
    """The simulated host."""

    incident_after_s: Seconds = 6.0


class Settings(Section):
    """All of them."""

    language: Language = "en"
    """Of cards in chats that have not chosen one."""
    timezone: str = "UTC"
    data_dir: Path = Path("data")
    database_url: SecretStr | None = None
    """postgresql+psycopg://… ; None: SQLite in `data_dir`."""
    key: SecretStr | None = None
    """INFRAGUARDIAN_KEY: encrypts secrets at rest. None: a file of mode 0600 in `data_dir`, made at first start."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    runbooks_dir: Path | None = None
    """Your own runbooks beside the shipped ones; a file of the same name replaces the shipped one."""
    telegram: TelegramSettings = TelegramSettings()
    engines: dict[str, EngineSettings] = Field(default_factory=lambda: {"local": EngineSettings()})
    simulated: bool = False
    """Guard the simulated host instead of the engines."""
    ollama: OllamaSettings | None = OllamaSettings()
    """None: never ask a model."""
    dokploy: DokploySettings | None = None
    """None: there is no Dokploy. Else at least `{url: "https://dokploy.example.com", api_key: "…"}`, or in the
    environment INFRAGUARDIAN_DOKPLOY__URL and INFRAGUARDIAN_DOKPLOY__API_KEY."""
    watch: WatchSettings = WatchSettings()
    verification: VerificationSettings = VerificationSettings()
    policy: PolicySettings = PolicySettings()
    stacks: dict[str, StackSettings] = Field(default_factory=dict)
    retention: RetentionSettings = RetentionSettings()
    web: WebSettings = WebSettings()
    playground: PlaygroundSettings = PlaygroundSettings()
    demo: DemoSettings = DemoSettings()


def secrets_of(settings: Settings) -> list[str]:
    """What must never be shown anywhere: this program's own, of every section."""
    known = list(_secrets(settings.model_copy(update={"database_url": None})))
    if settings.database_url is not None:
        password = urlsplit(settings.database_url.get_secret_value()).password
        known += [password] if password else []
    return known


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _secrets(one)
