"""People the guardian knows, and the one rule of who may see and decide what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from core.actions.catalog import JsonObject, Role
from core.actions.policy import Actor, ActorKind
from core.text import Language

ACTOR_STEM = "tg:"
"""A person's actor id is this and their number, through whichever face they act."""
INVITATION_LIFE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who talks to the guardian; a stranger has no role on anything."""

    user_id: int
    name: str
    role: Role | None = None
    """For every stack; None: only what `stack_roles` says."""
    stack_roles: Mapping[str, Role] = field(default_factory=dict)
    language: Language | None = None
    """As they chose it; of somebody who is speaking, the one to answer in."""
    quiet_from: str | None = None
    """`HH:MM` in their time zone; None: no quiet hours."""
    quiet_to: str | None = None
    preferences: JsonObject = field(default_factory=dict)
    """`timezone` and the like."""

    @property
    def actor_id(self) -> str:
        """Their name in calls and audit: `tg:123`."""
        return f"{ACTOR_STEM}{self.user_id}"

    @property
    def time_zone(self) -> str | None:
        """The name of the time zone they chose; None: the settings' one."""
        name = self.preferences.get("timezone")
        return name if isinstance(name, str) else None

    @property
    def best_role(self) -> Role | None:
        """The greatest role on anything; None: a stranger."""
        return _greatest(self.role, *self.stack_roles.values())

    def role_on(self, stack: str | None) -> Role | None:
        """The greater of the general role and the one on the stack; None as stack: the whole installation."""
        return _greatest(self.role, self.stack_roles.get(stack or ""))

    def may(self, role: Role, stack: str | None) -> bool:
        """Return True if the person may do on a stack what `role` may; seeing it takes the viewer."""
        own = self.role_on(stack)
        return own is not None and own.covers(role)

    def actor(self, stack: str | None) -> Actor:
        """The person as the gateway knows them, with their role on the stack."""
        return Actor(kind=ActorKind.PERSON, id=self.actor_id, name=self.name, role=self.role_on(stack))


class People(Protocol):
    """The people of the records and of the settings."""

    async def get(self, user_id: int) -> Person | None:
        """The person, or None for a stranger."""
        ...

    async def all(self) -> list[Person]:
        """Everybody known, in the order of their ids."""
        ...

    async def has_admin(self) -> bool:
        """Return True if anybody is admin."""
        ...

    async def save(self, person: Person, *, by: str) -> None:
        """Write a person as they are now."""
        ...

    async def invite(self, role: Role, *, by: str, valid_for: timedelta = INVITATION_LIFE) -> str:
        """Make a one-time token that gives a role."""
        ...

    async def enrol(self, token: str, *, user_id: int, name: str, language: Language | None = None) -> Person | None:
        """Use a token: the person gets its role, never a lesser one than they have; None: the token is no good."""
        ...


class KnownPeople:
    """The people as of the last `refresh`, from memory: for questions that cannot wait for the records."""

    def __init__(self, people: People) -> None:
        self._records = people
        self._people: dict[str, Person] = {}

    async def refresh(self) -> None:
        """Read them anew."""
        self._people = {person.actor_id: person for person in await self._records.all()}

    def sees(self, actor: Actor, stack: str | None) -> bool:
        """Return True if that actor may see a stack; one who is no recorded person needs a role at all."""
        person = self._people.get(actor.id)
        return actor.role is not None and (person is None or person.may(Role.VIEWER, stack))

    def name_of(self, actor_id: str) -> str:
        """The name of an actor; the number where nobody is known by it."""
        person = self._people.get(actor_id)
        return person.name if person is not None else number_of(actor_id)


def number_of(actor_id: str) -> str:
    """A person's number out of their actor id; any other actor's id as it is."""
    return actor_id.removeprefix(ACTOR_STEM)


def _greatest(*roles: Role | None) -> Role | None:
    own = [role for role in roles if role is not None]
    return max(own, key=list(Role).index) if own else None
