"""What people changed in the chat: it overrides the settings until it is taken back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from pydantic import JsonValue
from sqlalchemy import delete, insert, select, update

from core.clock import Clock
from core.settings import Autonomy
from core.text import LANGUAGES, Language
from knowledge.database import Database
from knowledge.tables import settings

FREEZE = "freeze"


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """All automation is stopped."""

    by: str
    at: datetime
    why: str


class SettingRecords:
    """Changed settings by key; each change says who made it and when."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, key: str) -> JsonValue:
        """The value, or None where nobody changed it."""
        async with self._database.read() as connection:
            query = select(settings.c.value).where(settings.c.key == key)
            return cast("JsonValue", (await connection.execute(query)).scalar_one_or_none())

    async def all(self, stem: str = "") -> dict[str, JsonValue]:
        """Every changed value whose key begins with `stem`."""
        query = select(settings.c.key, settings.c.value).where(settings.c.key.startswith(stem, autoescape=True))
        async with self._database.read() as connection:
            return {row.key: row.value for row in (await connection.execute(query)).all()}

    async def put(self, key: str, value: JsonValue, *, by: str) -> None:
        """Change it; None takes the change back."""
        now = self._clock.now()
        async with self._database.write() as connection:
            if value is None:
                await connection.execute(delete(settings).where(settings.c.key == key))
                return
            changed = await connection.execute(
                update(settings).where(settings.c.key == key).values(value=value, by=by, at=now)
            )
            if changed.rowcount == 0:
                await connection.execute(insert(settings).values(key=key, value=value, by=by, at=now))

    # -- autonomy ----------------------------------------------------------------------------------------------------

    async def autonomy(self, stack: str) -> Autonomy | None:
        """What was set in the chat for a stack, or None."""
        value = await self.get(f"autonomy:{stack}")
        return Autonomy(value) if value in set(Autonomy) else None

    async def set_autonomy(self, stack: str, mode: Autonomy | None, *, by: str) -> None:
        """Set a stack's mode; None goes back to the settings."""
        await self.put(f"autonomy:{stack}", mode, by=by)

    # -- freeze ------------------------------------------------------------------------------------------------------

    async def freeze(self) -> Freeze | None:
        """The freeze that holds, or None."""
        query = select(settings).where(settings.c.key == FREEZE)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else Freeze(by=row.by, at=row.at, why=str(row.value.get("why", "")))

    async def set_freeze(self, is_frozen: bool, *, by: str, why: str = "") -> None:
        """Stop all automation, or let it go on."""
        await self.put(FREEZE, {"why": why} if is_frozen else None, by=by)

    # -- language ----------------------------------------------------------------------------------------------------

    async def language(self, chat_id: int) -> Language | None:
        """The language that a chat has chosen, or None."""
        value = await self.get(f"language:{chat_id}")
        return next((one for one in LANGUAGES if one == value), None)

    async def set_language(self, chat_id: int, language: Language | None, *, by: str) -> None:
        """Choose a chat's language; None goes back to the settings."""
        await self.put(f"language:{chat_id}", language, by=by)
