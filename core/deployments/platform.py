"""Model of a deployment platform: its stacks with their deployments and domains, beside the running containers."""

from __future__ import annotations

import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

STACK_NAME_LIMIT = 60
"""Longer names are cut: each must fit on a button and in a lock's key, with environment and project before it."""
READ_LIMIT = 500
NAMES_KEPT = 20_000
"""Number of names (of stacks, services and containers) whose folded form is cached."""


class ManagedKind(StrEnum):
    """Kind of a managed resource."""

    COMPOSE = "compose"
    APPLICATION = "application"
    DATABASE = "database"


class DeployStatus(StrEnum):
    """Status of a deployment, in the platform's words; UNKNOWN for one that is new to us."""

    RUNNING = "running"
    DONE = "done"
    """The deploy command ended with exit code 0. Tells nothing about the containers."""
    ERROR = "error"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def is_final(self) -> bool:
        """True once the status cannot change any more."""
        return self in (DeployStatus.DONE, DeployStatus.ERROR, DeployStatus.CANCELLED)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One deployment in the platform's history."""

    id: str
    title: str = ""
    """Redacted. For git sources the commit's message."""
    commit: str | None = None
    """Full hash, for git sources."""
    status: DeployStatus = DeployStatus.UNKNOWN
    created_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""
    """Class of the error in its log (`deploy_error`), for one that failed while it was watched."""
    error_line: str = ""
    """The line of its log that names the error, redacted."""


@dataclass(frozen=True, kw_only=True)
class QueuedDeployment:
    """One entry of the platform's queue, running or waiting."""

    job_id: str
    managed_id: str
    title: str = ""
    is_active: bool = False
    """True while it runs; otherwise it waits."""
    queued_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A host name that the platform routes to a service."""

    id: str
    host: str
    path: str = "/"
    https: bool = False
    port: int | None = None
    """The container's port that requests are routed to."""
    service: str | None = None
    certificate: str = "none"
    """letsencrypt, custom or none."""
    is_enabled: bool = True

    @property
    def url(self) -> str:
        """The address as a person would open it."""
        return f"{'https' if self.https else 'http'}://{self.host}{'' if self.path in ('', '/') else self.path}"


@dataclass(frozen=True, kw_only=True)
class DomainState:
    """Result of the last check of a domain from here."""

    domain_id: str
    at: datetime
    problem: str = ""
    """dns, unreachable, router (404: no route), bad_gateway (502: wrong port or no process), certificate, http_error;
    empty: no problem.
    """
    detail: str = ""
    """One line, redacted: the status, the name that does not resolve, the certificate's end."""
    http_status: int | None = None
    certificate_ends: datetime | None = None
    failures: int = 0
    """Number of checks in a row with a problem, of whatever kind."""
    since: datetime | None = None
    """Time of the first of those checks."""


@dataclass(frozen=True, kw_only=True)
class BackupState:
    """Result of the last run of a scheduled backup."""

    id: str
    name: str
    """Name of the backed-up resource, as people know it."""
    managed_id: str | None = None
    status: DeployStatus = DeployStatus.UNKNOWN
    at: datetime | None = None
    run_id: str = ""
    """The platform's id of that run, for its log."""
    detail: str = ""
    """Redacted."""


@dataclass(frozen=True, kw_only=True)
class ManagedResource:
    """A stack, application or database that a platform manages."""

    system: str = "dokploy"
    id: str
    """The platform's id: `composeId`, `applicationId`, `postgresId` …"""
    kind: ManagedKind
    name: str
    """Name used everywhere here, one name for one thing: `Container.stack` of a compose's containers."""
    app_name: str
    """Compose project, swarm stack or swarm service: `Container.project`."""
    project: str = ""
    environment: str = ""
    environment_id: str = ""
    server: str | None = None
    """The platform's id of a remote server; None: the platform's own machine."""
    host: str | None = None
    """The watched host that runs its containers; None: not seen on any."""
    source: str = ""
    """raw, git, github, gitlab, bitbucket, gitea, docker …"""
    type: str = ""
    """docker-compose or stack, for a compose; the database's kind for a database."""
    branch: str | None = None
    """Branch or tag, for git sources."""
    status: str = ""
    """Status of the platform's last operation (idle, running, done, error), not of the containers."""
    domains: tuple[Domain, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    """Newest first, as many as the platform keeps (about ten)."""
    databases: tuple[str, ...] = ()
    """Names of the databases beside it in the same environment."""

    @property
    def last_deployment(self) -> Deployment | None:
        """The newest deployment; None: never deployed, or no longer in the platform's history."""
        return self.deployments[0] if self.deployments else None


@dataclass(frozen=True, kw_only=True)
class StackName:
    """Parts of a stack's name."""

    app_name: str
    name: str
    environment: str = ""
    project: str = ""


class StackNames:
    """Readable names for Compose projects and swarm services whose own names were generated by a platform.

    A name stays the same as long as the program runs, for incidents and locks are stored under it. Read by the
    engines' threads.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        """Start with the names of the last run, by `app_name`.

        After renames and deletions the first `learn` drops outdated names, unless `settle` was called before.
        """
        self._lock = threading.Lock()
        self.restore(known or {})

    def restore(self, known: Mapping[str, str]) -> None:
        """Load the names of the last run."""
        with self._lock:
            self._names: dict[str, str] = dict(known)
            self._is_settled = not known

    def of(self, app_name: str) -> str:
        """Return the name; an unmanaged project keeps its own, with a suffix if a managed one has the same."""
        with self._lock:
            found = self._names.get(app_name)
            if found is not None:
                return found
            return f"{app_name}-compose" if app_name in self._names.values() else app_name

    def learn(self, found: Iterable[StackName]) -> bool:
        """Name the resources that have no name yet; returns whether there were any.

        `granada`; if that is taken `granada-staging` (environment), then `shop-granada-staging` (project too), else the
        platform's own name. Names that people would type alike (`Granada`, `granada!`) count as one.
        """
        with self._lock:
            listed = list(found)
            self._check(listed)
            new = [one for one in listed if one.app_name not in self._names]
            if not new:
                return False
            spellings = {one.app_name: _spellings(one) for one in new}
            taken = {folded(one) for one in self._names.values()}
            in_production = Counter(
                folded(spellings[one.app_name][0]) for one in new if one.environment == "production"
            )
            for level in range(3):
                nameless = [one for one in new if one.app_name not in self._names]
                wanted = Counter(folded(spellings[one.app_name][level]) for one in nameless)
                for one in nameless:
                    spelled = spellings[one.app_name][level]
                    typed = folded(spelled)
                    is_production = level == 0 and one.environment == "production" and in_production[typed] == 1
                    if typed not in taken and (wanted[typed] == 1 or is_production):
                        self._names[one.app_name] = spelled
                        taken.add(typed)
            self._names = {one.app_name: one.app_name for one in new} | self._names
            return True

    def settle(self) -> None:
        """Fix all names from now on: incidents and locks rely on them."""
        with self._lock:
            self._is_settled = True

    def _check(self, listed: Sequence[StackName]) -> None:
        """Drop the old names of renamed stacks, so that a new stack can take one."""
        if self._is_settled or not listed:
            return
        possible = {one.app_name: (*_spellings(one), one.app_name) for one in listed}
        self._names = {key: name for key, name in self._names.items() if name in possible.get(key, ())}
        self._is_settled = True

    def to_json(self) -> dict[str, str]:
        """Return all names, for the next run."""
        with self._lock:
            return dict(self._names)


def _spellings(one: StackName) -> tuple[str, str, str]:
    name = _clean(one.name) or one.app_name
    short = f"{name}-{_clean(one.environment)}" if one.environment else name
    return (name, short, f"{_clean(one.project)}-{short}" if one.project else short)


@lru_cache(maxsize=NAMES_KEPT)
def folded(name: str) -> str:
    """Return the words of a name as people type them: without case, accents and punctuation."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(char for char in plain if not unicodedata.combining(char))
    return " ".join("".join(char if char.isalnum() else " " for char in kept).split())


def _clean(name: str) -> str:
    """Clean a name that anybody may have written: keep letters, digits, spaces and `-_.+`; the result may be empty."""
    kept = "".join(map(_kept, unicodedata.normalize("NFC", name[:READ_LIMIT])))
    short = "-".join(part for part in kept.split("-") if part.strip())
    short = " ".join(short.split())[:STACK_NAME_LIMIT].strip(" -_.+")
    return short if folded(short) else ""


def _kept(char: str) -> str:
    if char.isalnum() or char in " -_.+":
        return char
    if char.isspace():
        return " "
    return "" if unicodedata.category(char)[0] in "CM" else "-"
