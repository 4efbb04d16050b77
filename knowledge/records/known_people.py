"""Who is known, from memory: for questions that cannot wait for the records."""

from __future__ import annotations

from core.actions.policy import Actor
from knowledge.records.people_records import People, Person


class KnownPeople:
    """As of the last `refresh`."""

    def __init__(self, people: People) -> None:
        self._records = people
        self._people: dict[str, Person] = {}

    async def refresh(self) -> None:
        """Read them anew."""
        self._people = {person.actor_id: person for person in await self._records.all()}

    def sees(self, actor: Actor, stack: str | None) -> bool:
        """Whether that person may see a stack."""
        person = self._people.get(actor.id)
        return actor.role is not None and (person is None or person.role_for(stack) is not None)

    def name_of(self, actor_id: str) -> str:
        """What people call an actor; the id without its stem where nobody is known by it."""
        person = self._people.get(actor_id)
        return person.name if person is not None else actor_id.removeprefix("tg:")
