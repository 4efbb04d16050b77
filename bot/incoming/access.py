"""Who is speaking: by numeric user id, never by a name; whoever cannot be told for certain orders nothing."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from telegram import CallbackQuery, Message, User

from core.actions.catalog import Role
from core.actions.policy import Actor, ActorKind
from core.settings import Settings
from core.text import Language
from knowledge.records.people_records import People, Person

REFUSE_EVERY_S = 3600.0
"""A stranger is told once an hour at most."""
STRANGERS_KEPT = 500
INVITATION_LIFE = timedelta(hours=24)


class NoOrder(StrEnum):
    """Why a message is no order of anybody."""

    NOBODY = "nobody"
    """Channel posts and service messages: there is no author."""
    ANONYMOUS = "anonymous"
    """Written on behalf of the group or a channel."""
    FORWARDED = "forwarded"
    """Somebody else's words."""
    VIA_BOT = "via_bot"
    BOT = "bot"


@dataclass(frozen=True, kw_only=True)
class ChatUser:
    """Whoever speaks, known or not."""

    user_id: int
    name: str
    role: Role | None = None
    stack_roles: Mapping[str, Role] = field(default_factory=dict)
    language: Language
    person: Person | None = None

    @property
    def best_role(self) -> Role | None:
        """The greatest role on anything; None: a stranger."""
        own = [role for role in (self.role, *self.stack_roles.values()) if role is not None]
        return max(own, key=list(Role).index) if own else None

    def role_on(self, stack: str | None) -> Role | None:
        """The role on a stack; None: on the whole installation."""
        own = [role for role in (self.role, self.stack_roles.get(stack or "")) if role is not None]
        return max(own, key=list(Role).index) if own else None

    def actor(self, stack: str | None) -> Actor:
        """As the door knows them."""
        return Actor(kind=ActorKind.PERSON, id=f"tg:{self.user_id}", name=self.name, role=self.role_on(stack))


def author(message: Message) -> User | NoOrder:
    """The person whose own words these are, or why they are nobody's order."""
    user = message.from_user
    if message.sender_chat is not None:
        return NoOrder.ANONYMOUS
    if user is None:
        return NoOrder.NOBODY
    if user.is_bot:
        return NoOrder.BOT
    if message.via_bot is not None:
        return NoOrder.VIA_BOT
    if message.forward_origin is not None or message.is_automatic_forward:
        return NoOrder.FORWARDED
    return user


def presser(query: CallbackQuery) -> User | None:
    """The person who pressed a button; None: a bot."""
    return None if query.from_user.is_bot else query.from_user


class Access:
    """Turns Telegram's users into visitors, and enrols people by one-time links."""

    def __init__(self, people: People, settings: Settings) -> None:
        self._people = people
        self._settings = settings
        self._refused: OrderedDict[int, float] = OrderedDict()

    async def visitor(self, user: User) -> ChatUser:
        """Who that is here."""
        person = await self._people.get(user.id)
        language = person.language if person and person.language else self._language(user)
        if person is None:
            return ChatUser(user_id=user.id, name=user.full_name, language=language)
        if person.name == str(user.id):
            await self.remember(replace(person, name=user.full_name))
        return ChatUser(
            user_id=user.id,
            name=user.full_name,
            role=person.role,
            stack_roles=person.stack_roles,
            language=language,
            person=person,
        )

    async def remember(self, person: Person) -> None:
        """Write a person's name and wishes. A role that the settings give is not recorded: it ends with the setting."""
        telegram = self._settings.telegram
        given = {
            **dict.fromkeys(telegram.viewers, Role.VIEWER),
            **dict.fromkeys(telegram.operators, Role.OPERATOR),
            **dict.fromkeys(telegram.admins, Role.ADMIN),
        }
        role = None if given.get(person.user_id) is person.role else person.role
        await self._people.save(replace(person, role=role), by=person.actor_id)

    def _language(self, user: User) -> Language:
        code = (user.language_code or "").lower()
        if code.startswith("es"):
            return "es"
        return "en" if code.startswith("en") else self._settings.language

    async def enrol(self, token: str, user: User) -> ChatUser | None:
        """Use a one-time token; None: it is used up, too old, or none of ours."""
        person = await self._people.enrol(token, user_id=user.id, name=user.full_name, language=self._language(user))
        return None if person is None else await self.visitor(user)

    async def enrol_known(self, token: str, visitor: ChatUser) -> ChatUser | None:
        """The same for somebody who is known already: a greater role."""
        person = await self._people.enrol(token, user_id=visitor.user_id, name=visitor.name, language=visitor.language)
        if person is None:
            return None
        return replace(visitor, role=person.role, stack_roles=person.stack_roles, person=person)

    async def first_invitation(self) -> str | None:
        """A token for the first admin, while there is none; None: there is one."""
        if await self._people.has_admin():
            return None
        return await self._people.invite(Role.ADMIN, by="guardian", valid_for=INVITATION_LIFE)

    def may_refuse(self, user_id: int, now_s: float) -> bool:
        """Whether a stranger is to be told, or was told lately."""
        last = self._refused.get(user_id)
        if last is not None and now_s - last < REFUSE_EVERY_S:
            return False
        self._refused[user_id] = now_s
        self._refused.move_to_end(user_id)
        while len(self._refused) > STRANGERS_KEPT:
            self._refused.popitem(last=False)
        return True
