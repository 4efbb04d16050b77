"""People by user id, with role and wishes, and the one-time tokens that enrol them."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from core.actions.catalog import Role
from core.clock import Clock
from core.people import INVITATION_LIFE, Person
from core.settings import TelegramSettings
from core.text import LANGUAGES, Language
from knowledge.cached_value import CachedValue
from knowledge.database import Database
from knowledge.tables import enrolments, people

TOKEN_BYTES = 18


Known = Mapping[int, Person]
"""The recorded people by user id."""


class PeopleRecords:
    """core.people.People over the database.

    Whom the settings name has at least the role they give, whatever the records say.
    """

    def __init__(
        self, database: Database, clock: Clock, telegram: TelegramSettings, *, known: CachedValue[Known] | None = None
    ) -> None:
        """`known`: the recorded people that another one of these keeps; both must hear of what either writes."""
        self._database = database
        self._clock = clock
        self._known = known or CachedValue(self._load, is_shared=not database.is_sqlite)
        self._settings_roles: dict[int, Role] = {
            **dict.fromkeys(telegram.viewers, Role.VIEWER),
            **dict.fromkeys(telegram.operators, Role.OPERATOR),
            **dict.fromkeys(telegram.admins, Role.ADMIN),
        }

    def with_roles_of(self, telegram: TelegramSettings) -> PeopleRecords:
        """The same records under other settings."""
        return PeopleRecords(self._database, self._clock, telegram, known=self._known)

    async def get(self, user_id: int) -> Person | None:
        """The person, or None for a stranger."""
        return (await self._everybody()).get(user_id)

    async def all(self) -> list[Person]:
        """Everybody known, by records or settings, in the order of their ids."""
        known = await self._everybody()
        return [known[user_id] for user_id in sorted(known)]

    async def _everybody(self) -> dict[int, Person]:
        recorded = await self._known.get()
        known = {user_id: self._with_settings(person) for user_id, person in recorded.items()}
        for user_id, role in self._settings_roles.items():
            known.setdefault(user_id, Person(user_id=user_id, name=str(user_id), role=role))
        return known

    async def _load(self) -> Known:
        async with self._database.read() as connection:
            return {row.user_id: _person(row) for row in (await connection.execute(select(people))).all()}

    async def has_admin(self) -> bool:
        """Return True if anybody is admin."""
        return any(person.role is Role.ADMIN for person in await self.all())

    async def save(self, person: Person, *, by: str) -> None:
        """Write a person as they are now."""
        is_given = self._settings_roles.get(person.user_id) is person.role
        async with self._database.write() as connection:
            await self._save(connection, replace(person, role=None) if is_given else person, by)
        self._known.forget()

    async def remove(self, user_id: int) -> bool:
        """Forget a person; False: they were not recorded. Whom the settings name stays known."""
        async with self._database.write() as connection:
            gone = await connection.execute(delete(people).where(people.c.user_id == user_id))
        self._known.forget()
        return gone.rowcount == 1

    # -- enrolment ---------------------------------------------------------------------------------------------------

    async def invite(self, role: Role, *, by: str, valid_for: timedelta = INVITATION_LIFE) -> str:
        """A new one-time token; only its hash is kept. Safe in a link: letters, digits, - and _."""
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._clock.now()
        async with self._database.write() as connection:
            await connection.execute(
                insert(enrolments).values(
                    token_hash=_hash(token), role=role, made_by=by, made_at=now, expires_at=now + valid_for
                )
            )
        return token

    async def enrol(self, token: str, *, user_id: int, name: str, language: Language | None = None) -> Person | None:
        """Use a token: the person gets its role (never a lesser one than they have); None: used, expired or unknown."""
        now = self._clock.now()
        async with self._database.write() as connection:
            used = await connection.execute(
                update(enrolments)
                .where(
                    enrolments.c.token_hash == _hash(token),
                    enrolments.c.used_at.is_(None),
                    enrolments.c.expires_at > now,
                )
                .values(used_at=now, used_by=user_id)
                .returning(enrolments.c.role, enrolments.c.made_by)
            )
            row = used.one_or_none()
            if row is None:
                return None
            known = (await connection.execute(select(people).where(people.c.user_id == user_id))).one_or_none()
            person = _person(known) if known else Person(user_id=user_id, name=name, language=language)
            person = replace(person, name=name, role=_greater(person.role, Role(row.role)))
            await self._save(connection, person, row.made_by)
        self._known.forget()
        return self._with_settings(person)

    async def open_invitations(self) -> int:
        """Count the tokens that can still be used."""
        query = select(func.count()).where(enrolments.c.used_at.is_(None), enrolments.c.expires_at > self._clock.now())
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def _save(self, connection: AsyncConnection, person: Person, by: str) -> None:
        values = {
            "name": person.name,
            "role": person.role,
            "stack_roles": dict(person.stack_roles),
            "language": person.language,
            "quiet_from": person.quiet_from,
            "quiet_to": person.quiet_to,
            "preferences": person.preferences,
        }
        changed = await connection.execute(update(people).where(people.c.user_id == person.user_id).values(**values))
        if changed.rowcount == 0:
            added = {"user_id": person.user_id, "added_by": by, "added_at": self._clock.now()}
            await connection.execute(insert(people).values(**values, **added))

    def _with_settings(self, person: Person) -> Person:
        role = self._settings_roles.get(person.user_id)
        return person if role is None else replace(person, role=_greater(person.role, role))


def _greater(one: Role | None, other: Role) -> Role:
    return one if one is not None and one.covers(other) else other


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _person(row: Row[Any]) -> Person:
    return Person(
        user_id=row.user_id,
        name=row.name,
        role=Role(row.role) if row.role else None,
        stack_roles={stack: Role(role) for stack, role in row.stack_roles.items()},
        language=next((one for one in LANGUAGES if one == row.language), None),
        quiet_from=row.quiet_from,
        quiet_to=row.quiet_to,
        preferences=row.preferences,
    )
