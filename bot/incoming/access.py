"""Tells who is speaking: by numeric user id, never by a name; whoever cannot be told for certain orders nothing."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from enum import StrEnum

from telegram import CallbackQuery, Message, User

from core.actions.catalog import Role
from core.people import People, Person
from core.settings import Settings
from core.text import Language

REFUSE_EVERY_S = 3600.0
"""A stranger is told once an hour at most."""
STRANGERS_KEPT = 500


class NoOrder(StrEnum):
    """The reasons why a message is no order of anybody."""

    NOBODY = "nobody"
    """Channel posts and service messages: there is no author."""
    ANONYMOUS = "anonymous"
    """Written on behalf of the group or a channel."""
    FORWARDED = "forwarded"
    """Somebody else's words."""
    VIA_BOT = "via_bot"
    BOT = "bot"


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
    """Turns Telegram's users into people, and enrols people by one-time links."""

    def __init__(self, people: People, settings: Settings) -> None:
        self._people = people
        self._settings = settings
        self._refused: OrderedDict[int, float] = OrderedDict()

    async def visitor(self, user: User) -> Person:
        """The person as known here, with today's name and the language to answer in; a stranger has no role."""
        known = await self._people.get(user.id)
        if known is not None and known.name == str(user.id):
            await self._people.save(replace(known, name=user.full_name), by=known.actor_id)
        known = known or Person(user_id=user.id, name=user.full_name)
        return replace(known, name=user.full_name, language=known.language or self._language(user))

    def _language(self, user: User) -> Language:
        code = (user.language_code or "").lower()
        if code.startswith("es"):
            return "es"
        return "en" if code.startswith("en") else self._settings.language

    async def enrol(self, token: str, user: User) -> Person | None:
        """Use a one-time token; None: it is used up, too old, or none of ours."""
        person = await self._people.enrol(token, user_id=user.id, name=user.full_name, language=self._language(user))
        return None if person is None else await self.visitor(user)

    async def enrol_known(self, token: str, person: Person) -> Person | None:
        """The same for somebody who is known already: a greater role."""
        return await self._people.enrol(token, user_id=person.user_id, name=person.name, language=person.language)

    async def first_invitation(self) -> str | None:
        """A token for the first admin, while there is none; None: there is one."""
        return None if await self._people.has_admin() else await self._people.invite(Role.ADMIN, by="guardian")

    def may_refuse(self, user_id: int, now_s: float) -> bool:
        """Return True if a stranger is to be told; False: they were told lately."""
        last = self._refused.get(user_id)
        if last is not None and now_s - last < REFUSE_EVERY_S:
            return False
        self._refused[user_id] = now_s
        self._refused.move_to_end(user_id)
        while len(self._refused) > STRANGERS_KEPT:
            self._refused.popitem(last=False)
        return True
