"""All settings with their defaults, as frozen models; filled from the environment, then the YAML file, by the root."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from core.text import Language


class Autonomy(StrEnum):
    """Autonomy of runbooks on a stack, least first."""

    OBSERVE = "observe"
    """Only report."""
    PROPOSE = "propose"
    """Ask before every step."""
    GUARDED = "guarded"
    """Run safe steps, and proven disruptive ones on services that are not critical; ask before the rest."""
    AUTO = "auto"
    """Act without asking within the budget; ask only before anything destructive."""


class Section(BaseModel):
    """A group of settings; unknown names are refused, so that a typo is reported."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Seconds = Annotated[float, Field(gt=0)]
Percent = Annotated[float, Field(gt=0, le=100)]


class TelegramSettings(Section):
    """The chat."""

    token: SecretStr | None = None
    """The bot's token, from @BotFather. Not set: the local chat page opens instead."""
    admins: tuple[int, ...] = ()
    """Numeric ids of users who are always admin. Empty: the first start prints a one-time enrolment link."""
    operators: tuple[int, ...] = ()
    viewers: tuple[int, ...] = ()
    alert_chats: tuple[int, ...] = ()
    """Chats that get the incident cards. Empty: every admin's private chat."""
    api_url: str = "https://api.telegram.org"
    """Change it only if you run your own Bot API server."""
    webhook_url: str | None = None
    """Public https address of InfraGuardian. Not set: long polling."""
    webhook_secret: SecretStr | None = None
    poll_timeout_s: Annotated[int, Field(ge=1, le=50)] = 30
    edit_pace_s: Seconds = 1.5
    """Minimum time between two edits in a private chat; `group_edit_pace_s` is the one for groups."""
    group_edit_pace_s: Seconds = 4.0
    stale_order_s: Seconds = 600.0
    """A command that changes something is not run when it is older than this, after an outage; its sender is told."""


class EngineSettings(Section):
    """One Docker engine."""

    url: str = "unix:///var/run/docker.sock"
    """unix:///path, tcp://host:2376 (with the three TLS files) or ssh://user@host."""
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    ssh_key: Path | None = None
    timeout_s: Seconds = 10.0
    threads: Annotated[int, Field(ge=2, le=64)] = 8
    """Threads for calls to this engine."""
    cgroup_root: Path = Path("/sys/fs/cgroup")
    """Cgroup folder with CPU and memory of a local engine's containers. If it is missing, the Docker API is used."""

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if not value.startswith(("unix://", "tcp://", "ssh://")):
            raise ValueError(f"{value!r} isn't an engine address: use unix:///path, tcp://host:port or ssh://user@host")
        return value


class OllamaSettings(Section):
    """The language model."""

    url: str = "http://127.0.0.1:11434"
    model: str = "gpt-oss:20b"
    digest: str | None = None
    """The digest the model should have; a different one is reported. Not set: any."""
    embedding_model: str | None = "qwen3-embedding:0.6b"
    num_ctx: Annotated[int, Field(ge=2048)] = 32768
    """The same for all requests, because a change makes Ollama reload the model."""
    num_predict: Annotated[int, Field(ge=64)] = 4096
    parallel: Annotated[int, Field(ge=1)] = 1
    """Set it to the server's OLLAMA_NUM_PARALLEL."""
    queue: Annotated[int, Field(ge=1)] = 16
    """Maximum number of waiting requests; further ones are refused at once."""
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
    """Create it on Dokploy's profile page without a rate limit: the default limit lets 5 calls a day through."""
    organization_id: str | None = None
    """The organization the key should belong to; a different one is reported. Not set: any."""
    tls_ca: Path | None = None
    """The certificate authority, if you use your own."""
    timeout_s: Seconds = 20.0
    """Time limit of calls that answer at once."""
    slow_timeout_s: Annotated[float, Field(ge=60)] = 180.0
    """Time limit of calls that answer when the work is done: start, stop, restart."""
    long_timeout_s: Annotated[float, Field(ge=60)] = 1800.0
    """Time limit of calls that may pull images or copy data: deploying a database, a backup."""
    connect_timeout_s: Seconds = 5.0
    at_once: Annotated[int, Field(ge=1, le=32)] = 8
    """Maximum number of quick calls at the same time."""
    slow_at_once: Annotated[int, Field(ge=1, le=32)] = 4
    """Maximum number of slow and long calls at the same time, besides the quick ones."""
    waiting: Annotated[int, Field(ge=1)] = 256
    """Maximum number of waiting calls; further ones are refused at once."""
    pace_s: Annotated[float, Field(ge=0)] = 0.02
    """Minimum time between the starts of two calls."""
    retries: Annotated[int, Field(ge=0, le=3)] = 2
    """Retries of a read while Dokploy cannot be reached. A call that changes something is never retried."""
    breaker_failures: Annotated[int, Field(ge=1)] = 5
    breaker_rest_s: Seconds = 15.0
    webhook_secret: SecretStr | None = None
    """The secret Dokploy's custom notification must send to `/hooks/dokploy` in the header `X-InfraGuardian-Secret`.
    Not set: notifications are not accepted."""
    poll_s: Seconds = 8.0
    """Polling interval of the list of all deployments, fetched in one call."""
    sweep_s: Seconds = 14.0
    """Pause between the other queries, which take turns: queue, projects, domains, backups."""
    follow_s: Seconds = 1.0
    """Polling interval of a deploy started here, while it runs."""
    never_after_s: Seconds = 20.0
    """A deploy that Dokploy has neither queued nor run after this time is reported as never arrived."""
    deploy_limit_s: Seconds = 3600.0
    """A deploy that has not finished after this time ends with an unknown result."""
    stuck_after_s: Seconds = 1200.0
    """A deployment that runs longer than this is reported as stuck, and the ones behind it as blocked."""
    ask_domains: bool = True
    """Check each domain over HTTP from here, with its certificate."""
    domains_s: Seconds = 300.0
    """Interval between two checks of a domain."""
    certificate_days: Annotated[int, Field(ge=1)] = 7
    """A certificate that expires sooner than this is reported."""
    versions_kept: Annotated[int, Field(ge=2)] = 20
    """Number of versions of a stack that are saved to roll back to."""

    @field_validator("url")
    @classmethod
    def _base_address(cls, value: str) -> str:
        """Without a trailing slash or `/api`; the key is the only secret that is sent."""
        if any(sign in value for sign in "@?#"):
            raise ValueError("give only the address, without user, password or query; the key goes into `api_key`")
        scheme, _, rest = value.strip().partition("://")
        if scheme not in ("http", "https") or not rest.strip("/"):
            raise ValueError(f"{value!r} isn't an address: use https://dokploy.example.com")
        return f"{scheme}://{rest}".rstrip("/").removesuffix("/api").rstrip("/")


class WatchSettings(Section):
    """The stacks to watch, and when to raise an alert."""

    only: tuple[str, ...] = ()
    """Watch only these stacks (or containers outside a stack); `*` matches anything. Empty: all."""
    ignore: tuple[str, ...] = ()
    """Never watch these; takes precedence over `only`."""
    poll_s: Seconds = 10.0
    """Everything is checked at least this often; a Docker event triggers a check at once."""
    stats_s: Seconds = 10.0
    """Measurement interval of CPU and memory."""
    memory_near_pct: Percent = 92.0
    """Percent of the memory limit that raises an alert."""
    cpu_pegged_pct: Percent = 95.0
    """Percent of the container's own CPU limit, or of the host's CPUs if it has none."""
    cpu_throttled_pct: Percent = 50.0
    """Percent of the CPU quota periods in which the container was throttled."""
    sustained_s: Seconds = 120.0
    """Minimum time above these percentages before an alert is raised."""
    crash_loop_restarts: Annotated[int, Field(ge=2)] = 3
    """This many restarts within `crash_loop_within_s` are a crash loop."""
    crash_loop_within_s: Seconds = 120.0
    unreachable_after_s: Seconds = 15.0
    """Time without a response from Docker or Dokploy after which an alert is raised."""
    flap_changes: Annotated[int, Field(ge=2)] = 5
    """The same problem this many times within `flap_within_s` counts as flapping: one card that stays quiet."""
    flap_within_s: Seconds = 900.0
    group_within_s: Seconds = 120.0
    """An alert caused by another service joins that service's incident within this time."""
    reported_kept_s: Seconds = 86_400.0
    """An alert reported by another system counts as over when nothing more is heard of it for this long."""


class VerificationSettings(Section):
    """Verification that a service stays healthy after a repair."""

    window_s: Seconds = 30.0
    """At least this long; longer for services that start slowly or have slow health checks."""
    poll_s: Seconds = 2.0
    limit_s: Seconds = 600.0
    """A repair fails if the service is not up after this time."""


class PolicySettings(Section):
    """Limits of acting without approval."""

    autonomy: Autonomy = Autonomy.GUARDED
    """For stacks without a mode of their own: observe, propose, guarded or auto."""
    attempts_per_incident: Annotated[int, Field(ge=1)] = 2
    """Repair plans tried per incident."""
    disruptive_per_hour: Annotated[int, Field(ge=1)] = 3
    """Disruptive actions by automation, per service and hour."""
    changes_per_day: Annotated[int, Field(ge=1)] = 6
    """Changes that `auto` may make without asking, per stack and day."""
    proven_after: Annotated[int, Field(ge=1)] = 3
    """Verified successes on a stack before a repair counts as proven there."""
    model_tokens_per_incident: Annotated[int, Field(ge=1000)] = 25_000
    approval_s: Seconds = 1800.0
    """Lifetime of an approval request."""
    second_person_for_destructive: bool = False
    """Require a second person to confirm anything destructive."""
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
    """A service is critical if its image name contains one of these (databases, proxies, InfraGuardian itself)."""
    critical_label: str = "infraguardian.critical"
    """A container label that makes its service critical."""


class StackSettings(Section):
    """Rules for one stack."""

    autonomy: Autonomy | None = None
    critical: tuple[str, ...] = ()
    """Services that are critical besides those recognised by their image."""
    chat: int | None = None


class RetentionSettings(Section):
    """Retention of records. Open incidents stay with everything that belongs to them; lessons are kept forever."""

    history_days: Annotated[int, Field(ge=1)] = 400
    """Closed incidents with their calls, approvals and cards; deploys; the audit log."""
    undo_days: Annotated[int, Field(ge=1)] = 30
    """Data for undoing an action, secrets included (encrypted)."""
    runs_days: Annotated[int, Field(ge=1)] = 30
    """Finished runs."""
    messages_days: Annotated[int, Field(ge=8)] = 14
    """Messages already handled or sent. More than a week, so that a repeated one is recognised."""


class WebSettings(Section):
    """The web server for the health check and webhooks."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8321
    """0: any free port."""
    hook_secrets: dict[str, SecretStr] = Field(default_factory=dict)
    """Secrets by name: another system must send its own in the header `X-InfraGuardian-Secret` to `/hooks/<name>`; an
    address without a secret accepts nothing. Dokploy's is `dokploy.webhook_secret`.
    """


class PlaygroundSettings(Section):
    """The local chat page, opened when there is no Telegram token. It listens on the loopback address only."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8322
    person: str = "Ada"


class DemoSettings(Section):
    """The simulated host."""

    incident_after_s: Seconds = 6.0
    """Delay until the simulated incident starts."""


class Settings(Section):
    """All settings of InfraGuardian."""

    language: Language = "en"
    """Language of chats that have not chosen one: en or es."""
    timezone: str = "UTC"
    data_dir: Path = Path("data")
    database_url: SecretStr | None = None
    """Address of a PostgreSQL: postgresql+psycopg://… Not set: SQLite in `data_dir`."""
    key: SecretStr | None = None
    """Encrypts secrets at rest. Set it as INFRAGUARDIAN_KEY. Not set: a key file (mode 0600) is made in `data_dir`."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    runbooks_dir: Path | None = None
    """A folder with your own runbooks. A file with the same name replaces the shipped one."""
    telegram: TelegramSettings = TelegramSettings()
    engines: dict[str, EngineSettings] = Field(default_factory=lambda: {"local": EngineSettings()})
    simulated: bool = False
    """Watch the simulated host instead of the engines."""
    ollama: OllamaSettings | None = OllamaSettings()
    """Set it to null to work without a model."""
    dokploy: DokploySettings | None = None
    """Not set: no Dokploy. Otherwise at least `{url: "https://dokploy.example.com", api_key: "…"}`, or both in the
    environment: INFRAGUARDIAN_DOKPLOY__URL and INFRAGUARDIAN_DOKPLOY__API_KEY."""
    watch: WatchSettings = WatchSettings()
    verification: VerificationSettings = VerificationSettings()
    policy: PolicySettings = PolicySettings()
    stacks: dict[str, StackSettings] = Field(default_factory=dict)
    retention: RetentionSettings = RetentionSettings()
    web: WebSettings = WebSettings()
    playground: PlaygroundSettings = PlaygroundSettings()
    demo: DemoSettings = DemoSettings()


def secrets_of(settings: Settings) -> list[str]:
    """Return this program's own secrets from every section: they must never be shown."""
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
