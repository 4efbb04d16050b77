"""Catalogue of all actions, which are marked methods of toolsets.

Everything else is derived from it: agent tools, runbook steps, chat aliases, REST routes, documentation, audit.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, cast, get_args, get_type_hints

from pydantic import BaseModel, ConfigDict, JsonValue, SecretStr, ValidationError

from core.errors import InvalidParams, UnknownAction
from core.text import Text, text

JsonObject = dict[str, JsonValue]


class Risk(StrEnum):
    """Damage an action can do, least first."""

    READ = "read"
    """Observes only."""
    SAFE = "safe"
    """Has no effect that anybody notices."""
    DISRUPTIVE = "disruptive"
    """Interrupts a service for a short time."""
    CHANGE = "change"
    """Changes configuration or version; can be undone from its snapshot."""
    DESTRUCTIVE = "destructive"
    """Loses data or cannot be undone."""


class Role(StrEnum):
    """Permissions of a person, least first; each role includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Return whether this role includes `needed`."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


ROLE_FOR_RISK: Mapping[Risk, Role] = {
    Risk.READ: Role.VIEWER,
    Risk.SAFE: Role.OPERATOR,
    Risk.DISRUPTIVE: Role.OPERATOR,
    Risk.CHANGE: Role.OPERATOR,
    Risk.DESTRUCTIVE: Role.ADMIN,
}


class Params(BaseModel):
    """Parameters of one action; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def target(self) -> str | None:
        """Return the inventory reference (`host/container`) of its target, the key of its lock, or None."""
        return None

    @classmethod
    def names(cls) -> list[str]:
        """Return the parameter names as callers write them."""
        return [one.alias or name for name, one in cls.model_fields.items()]


class Outcome(StrEnum):
    """End of a call."""

    OK = "ok"
    FAILED = "failed"
    NO_DATA = "no_data"
    """Nothing was found: an answer, not an error."""
    UNKNOWN = "unknown"
    """Started, and nobody can tell if it took effect."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Result of an action."""

    outcome: Outcome = Outcome.OK
    message: Text
    """One sentence for people."""
    data: JsonObject = field(default_factory=dict)
    """The facts, for the model and for rules; plain JSON, free of secrets."""
    query: str = ""
    """The exact query sent to the system, so that a person can repeat it."""
    ends_here: bool = False
    """True for a followed action that leaves nothing to follow."""

    @property
    def is_ok(self) -> bool:
        """True when it worked; no data counts as worked."""
        return self.outcome in (Outcome.OK, Outcome.NO_DATA)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """Preview of an action's effect, for the person who is asked to approve it."""

    lines: tuple[str, ...] = ()
    """A diff or a list, free of secrets, short enough for a phone."""
    warnings: tuple[Text, ...] = ()
    """Warnings to read before approving."""
    basis: str = ""
    """Digest of the state it is based on: if that has changed by the time of approval, the action is not run."""


P = TypeVar("P", bound=Params)
T = TypeVar("T", bound="Toolset")
_MARK = "__action__"


@dataclass(frozen=True, kw_only=True)
class _ActionMark:
    risk: Risk
    role: Role | None
    snapshot: str | None
    undo: str | None
    outcome: str | None
    preview: str | None
    follow: str | None
    time_limit_s: float


def action(
    risk: Risk,
    *,
    role: Role | None = None,
    snapshot: str | None = None,
    undo: str | None = None,
    outcome: str | None = None,
    preview: str | None = None,
    follow: str | None = None,
    time_limit_s: float = 30.0,
) -> Callable[[Callable[[T, P], Awaitable[Result]]], Callable[[T, P], Awaitable[Result]]]:
    """Mark a Toolset method `async def name(self, params: SomeParams) -> Result` as an action.

    `snapshot`, `undo`, `outcome`, `preview` name methods of the same toolset:
    snapshot(params) -> JsonObject, taken before the action; kept encrypted.
    undo(params, snapshot) -> Result, restores that state.
    outcome(params, started_at: datetime) -> Outcome, asks the system if a call that was cut off took effect.
    preview(params) -> Preview, the exact effect, shown to the person who is asked; raises GuardianError if the action
    cannot work, which refuses the call before anybody is asked.
    `follow` names a kind of runs: the action only begins the work, and a run of that kind decides how it ends.
    `role` overrides the role that follows from the risk. `time_limit_s` bounds one run in seconds.
    """
    mark = _ActionMark(
        risk=risk,
        role=role,
        snapshot=snapshot,
        undo=undo,
        outcome=outcome,
        preview=preview,
        follow=follow,
        time_limit_s=time_limit_s,
    )

    def decorate(method: Callable[[T, P], Awaitable[Result]]) -> Callable[[T, P], Awaitable[Result]]:
        setattr(method, _MARK, mark)
        return method

    return decorate


class Toolset:
    """Actions on one system; takes its client in the constructor."""

    system: ClassVar[str]
    """First part of every action's name: `docker` gives `docker.restart`."""

    def unavailable(self) -> str | None:
        """Return the reason why its actions cannot run (not configured), or None. A temporary fault is not a reason."""
        return None


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action as recorded in the catalogue."""

    name: str
    risk: Risk
    role: Role
    params: type[Params]
    doc: str
    time_limit_s: float
    run: Callable[[Params], Awaitable[Result]]
    unavailable: Callable[[], str | None]
    snapshot: Callable[[Params], Awaitable[JsonObject]] | None = None
    undo: Callable[[Params, JsonObject], Awaitable[Result]] | None = None
    outcome: Callable[[Params, datetime], Awaitable[Outcome]] | None = None
    preview: Callable[[Params], Awaitable[Preview]] | None = None
    follow: str | None = None
    """Kind of the run that decides how the action ends; None: its own result does."""

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Return the names of the parameters of type SecretStr: never shown, and encrypted at rest."""
        fields = self.params.model_fields.items()
        return tuple(field.alias or name for name, field in fields if _holds_secret(field.annotation))

    @property
    def tool_name(self) -> str:
        """Return the name of its agent tool, where dots are not allowed."""
        return self.name.replace(".", "__")

    def parse(self, raw: Mapping[str, object]) -> Params:
        """Check raw parameters; raises InvalidParams naming the field and what it expects."""
        try:
            return self.params.model_validate(dict(raw))
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(str(part) for part in item['loc']) or 'parameters'}: {item['msg'].lower()}"
                for item in error.errors()
            )
            known = ", ".join(self.params.names()) or "none"
            raise InvalidParams(self.name, f"{problems} (it takes: {known})", message=_unfit(error)) from error


def _unfit(error: ValidationError) -> Text:
    """Describe invalid parameters for people: a check's own sentence, else the names of the parameters."""
    found = error.errors(include_url=False, include_input=False)
    causes = [item.get("ctx", {}).get("error") for item in found]
    own = next((one.message for one in causes if isinstance(one, Unfit)), None)
    names = dict.fromkeys(str(item["loc"][0]) for item in found if item["loc"])
    return own or text("error.invalid_params", names=", ".join(names) or "–")


class Unfit(ValueError):
    """A parameter's own check failed; carries a sentence for people."""

    def __init__(self, problem: str, message: Text) -> None:
        self.message = message
        super().__init__(problem)


class Catalog:
    """All actions of all installed systems, by name."""

    def __init__(self, toolsets: Iterable[Toolset]) -> None:
        self._actions: dict[str, Action] = {}
        for toolset in toolsets:
            for found in actions_of(toolset):
                self._actions[found.name] = found

    def __iter__(self) -> Iterator[Action]:
        return iter(self._actions.values())

    def __contains__(self, name: str) -> bool:
        return name in self._actions

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self._actions)

    def get(self, name: str) -> Action:
        """Return the action of that name or tool name; raises UnknownAction with the closest one."""
        found = self._actions.get(name) or self._actions.get(name.replace("__", "."))
        if found is None:
            raise UnknownAction(name, self._actions)
        return found


def actions_of(toolset: Toolset) -> Iterator[Action]:
    """Yield the actions that a toolset's methods are marked as."""
    for name, function in inspect.getmembers(type(toolset), inspect.isfunction):  # of the class: asks no property
        mark = getattr(function, _MARK, None)
        if not isinstance(mark, _ActionMark):
            continue
        method = getattr(toolset, name)
        hints = get_type_hints(method)
        params = hints[next(iter(inspect.signature(method).parameters))]
        yield Action(
            name=f"{toolset.system}.{name}",
            risk=mark.risk,
            role=mark.role or ROLE_FOR_RISK[mark.risk],
            params=cast("type[Params]", params),
            doc=inspect.getdoc(method) or "",
            time_limit_s=mark.time_limit_s,
            run=method,
            unavailable=toolset.unavailable,
            snapshot=_sibling(toolset, mark.snapshot),
            undo=_sibling(toolset, mark.undo),
            outcome=_sibling(toolset, mark.outcome),
            preview=_sibling(toolset, mark.preview),
            follow=mark.follow,
        )


def _holds_secret(kind: object) -> bool:
    return kind is SecretStr or any(_holds_secret(part) for part in get_args(kind))


def _sibling(toolset: Toolset, name: str | None) -> Any:
    return getattr(toolset, name) if name else None
