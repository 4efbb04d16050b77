"""Settings changed in the chat: they override the configured ones until the change is taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from pydantic import JsonValue
from sqlalchemy import Row, delete, insert, select, update

from core.clock import Clock
from core.settings import Autonomy
from core.text import LANGUAGES, Language
from knowledge.cached_value import CachedValue
from knowledge.database import Database
from knowledge.tables import settings

FREEZE_KEY = "freeze"


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """A freeze: all automation is stopped."""

    by: str
    at: datetime
    why: str


class SettingRecords:
    """Changed settings by key; each change says who made it and when."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._rows = CachedValue(self._load, is_shared=not database.is_sqlite)

    async def get(self, key: str) -> JsonValue:
        """The value, or None where nobody changed it."""
        row = (await self._rows.get()).get(key)
        return None if row is None else cast("JsonValue", row.value)

    async def all(self, stem: str = "") -> dict[str, JsonValue]:
        """Every changed value whose key begins with `stem`."""
        return {key: row.value for key, row in (await self._rows.get()).items() if key.startswith(stem)}

    async def _load(self) -> Mapping[str, Row[Any]]:
        async with self._database.read() as connection:
            return {row.key: row for row in (await connection.execute(select(settings))).all()}

    async def put(self, key: str, value: JsonValue, *, by: str) -> None:
        """Change a setting; None takes the change back."""
        now = self._clock.now()
        is_named = settings.c.key == key
        async with self._database.write() as connection:
            if value is None:
                await connection.execute(delete(settings).where(is_named))
            else:
                changed = await connection.execute(update(settings).where(is_named).values(value=value, by=by, at=now))
                if changed.rowcount == 0:
                    await connection.execute(insert(settings).values(key=key, value=value, by=by, at=now))
        self._rows.forget()

    # -- autonomy ----------------------------------------------------------------------------------------------------

    async def autonomy(self, stack: str) -> Autonomy | None:
        """Autonomy set in the chat for a stack, or None."""
        value = await self.get(f"autonomy:{stack}")
        return Autonomy(value) if value in set(Autonomy) else None

    async def set_autonomy(self, stack: str, mode: Autonomy | None, *, by: str) -> None:
        """Set a stack's mode; None goes back to the settings."""
        await self.put(f"autonomy:{stack}", mode, by=by)

    # -- freeze ------------------------------------------------------------------------------------------------------

    async def freeze(self) -> Freeze | None:
        """The freeze in force, or None."""
        row = (await self._rows.get()).get(FREEZE_KEY)
        return None if row is None else Freeze(by=row.by, at=row.at, why=str(row.value.get("why", "")))

    async def set_freeze(self, is_frozen: bool, *, by: str, why: str = "") -> None:
        """Freeze all automation, or resume it."""
        await self.put(FREEZE_KEY, {"why": why} if is_frozen else None, by=by)

    # -- language ----------------------------------------------------------------------------------------------------

    async def language(self, chat_id: int) -> Language | None:
        """The language that a chat has chosen, or None."""
        value = await self.get(f"language:{chat_id}")
        return next((one for one in LANGUAGES if one == value), None)

    async def set_language(self, chat_id: int, language: Language | None, *, by: str) -> None:
        """Choose a chat's language; None goes back to the settings."""
        await self.put(f"language:{chat_id}", language, by=by)
