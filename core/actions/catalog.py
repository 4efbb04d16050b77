"""What the guardian can do: actions, marked on the methods of toolsets, gathered in one catalogue.

Everything else is derived from here: agent tools, runbook steps, chat aliases, REST routes, documentation, audit.
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
    """How much an action can hurt, least first."""

    READ = "read"
    """Observes only."""
    SAFE = "safe"
    """Nobody notices."""
    DISRUPTIVE = "disruptive"
    """A short interruption."""
    CHANGE = "change"
    """Configuration or version; undone from its snapshot."""
    DESTRUCTIVE = "destructive"
    """Loses data or cannot be undone."""


class Role(StrEnum):
    """What a person may do, least first; each includes the ones before it."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether somebody with this role may do what `needed` may."""
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
    """The parameters of one action; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def target(self) -> str | None:
        """What the action touches, as an inventory reference (`host/container`); the key of its lock. None: nothing."""
        return None

    @classmethod
    def names(cls) -> list[str]:
        """The parameters as callers write them."""
        return [one.alias or name for name, one in cls.model_fields.items()]


class Outcome(StrEnum):
    """How a call ended."""

    OK = "ok"
    FAILED = "failed"
    NO_DATA = "no_data"
    """Looked, found nothing: an answer, not an error."""
    UNKNOWN = "unknown"
    """Started, and nobody can say whether it took effect."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What an action did or saw."""

    outcome: Outcome = Outcome.OK
    message: Text
    """One sentence for people."""
    data: JsonObject = field(default_factory=dict)
    """The facts, for the model and for rules; plain JSON, already free of secrets."""
    query: str = ""
    """The exact question asked of the system, so that a person can repeat it."""
    ends_here: bool = False
    """Of an action that is followed: there is nothing left to follow."""

    @property
    def is_ok(self) -> bool:
        """Whether it worked (no data counts as worked)."""
        return self.outcome in (Outcome.OK, Outcome.NO_DATA)


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What an action would do, for whoever is asked."""

    lines: tuple[str, ...] = ()
    """A diff or a list, free of secrets, short enough for a phone."""
    warnings: tuple[Text, ...] = ()
    """What should be known before saying yes."""
    basis: str = ""
    """A digest of what it rests on: where that has changed by the time of the yes, nothing is done."""


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
    """Mark a Toolset method `async def name(self, params: SomeParams) -> Result` as an action. Only marks.

    `snapshot`, `undo`, `outcome`, `preview` name methods of the same toolset:
    snapshot(params) -> JsonObject, taken before the action; kept encrypted.
    undo(params, snapshot) -> Result, puts it back.
    outcome(params, started_at: datetime) -> Outcome, asks the world whether a call that was cut off took effect.
    preview(params) -> Preview, what exactly would be done, shown to whoever is asked; raises GuardianError where it
    cannot be done, which refuses the wish before anybody is asked.
    `follow` names a kind of runs: the action only begins something, and a run of that kind says how it ends.
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
    """A family of actions over one system; takes its client in the constructor."""

    system: ClassVar[str]
    """First part of every action's name: `docker` gives `docker.restart`."""

    def unavailable(self) -> str | None:
        """Why its actions cannot run now (not configured), or None when they can. A passing fault is not a reason."""
        return None


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing that can be done, as the catalogue holds it."""

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
    """Kind of the run that says how it ends; None: its own result does."""

    @property
    def secret_params(self) -> tuple[str, ...]:
        """Parameters of the type SecretStr, by the names that callers write: never shown, and sealed at rest."""
        fields = self.params.model_fields.items()
        return tuple(field.alias or name for name, field in fields if _holds_secret(field.annotation))

    @property
    def tool_name(self) -> str:
        """The name an agent tool may have: dots are not allowed there."""
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
            raise InvalidParams(self.name, f"{problems} (it takes: {known})", says=_unfit(error)) from error


def _unfit(error: ValidationError) -> Text:
    """What does not fit, for people: a check's own sentence, else the names of the parameters."""
    found = error.errors(include_url=False, include_input=False)
    causes = [item.get("ctx", {}).get("error") for item in found]
    own = next((one.says for one in causes if isinstance(one, Unfit)), None)
    names = dict.fromkeys(str(item["loc"][0]) for item in found if item["loc"])
    return own or text("error.invalid_params", names=", ".join(names) or "–")


class Unfit(ValueError):
    """A parameter's own check says no, in people's language too."""

    def __init__(self, problem: str, says: Text) -> None:
        self.says = says
        super().__init__(problem)


class Catalog:
    """Every action of every installed system, by name."""

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
        """All names, sorted."""
        return sorted(self._actions)

    def get(self, name: str) -> Action:
        """The action of that name or tool name; raises UnknownAction with the nearest one."""
        found = self._actions.get(name) or self._actions.get(name.replace("__", "."))
        if found is None:
            raise UnknownAction(name, self._actions)
        return found


def actions_of(toolset: Toolset) -> Iterator[Action]:
    """The actions that a toolset's methods are marked as."""
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
