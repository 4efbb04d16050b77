"""Message entities: UTF-16 offsets, automatic detection, and Telegram's rules for tidying them."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from playground.api.bot_api_wire import Json, bad_request

MONOSPACE = frozenset({"code", "pre"})
SPLITTABLE = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler"})
QUOTES = frozenset({"blockquote", "expandable_blockquote"})
DETECTED = frozenset({"bot_command", "mention", "hashtag", "url", "email"})
ENTITIES_LIMIT = 100  # entities that take effect in one message
# Telegram links bare host names of every public suffix; these are the ones that operational texts name.
LINKED_SUFFIXES = "com|org|net|io|dev|app|ai|info|es|me|eu|de|uk|fr|us|cloud|sh|py|xyz|site|online|tech|co"

_DETECTORS = (
    ("url", re.compile(r"(?i)\b(?:https?|ftp|tg)://[^\s<>\"'“”«»]*[^\s<>\"'“”«».,;:!?)\]}]")),
    ("email", re.compile(r"(?i)(?<![\w.+-])[a-z0-9._%+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}\b")),
    ("url", re.compile(
        rf"(?i)(?<![\w@./-])(?:[a-z0-9-]+\.)+(?:{LINKED_SUFFIXES})(?::\d+)?"
        r"(?:/[^\s<>\"']*[^\s<>\"'.,;:!?)])?(?![\w@-])"
    )),
    ("bot_command", re.compile(r"(?<![\w/<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/<>@])")),
    ("mention", re.compile(r"(?<!\w)@[A-Za-z0-9_]{3,32}(?!\w)")),
    ("hashtag", re.compile(r"(?<!\w)#\w*[^\W\d]\w*")),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Entity:
    """One styled span; `offset` and `length` count UTF-16 code units."""

    type: str
    offset: int
    length: int
    url: str = ""
    language: str = ""
    user_id: int = 0
    custom_emoji_id: str = ""
    unix_time: int = 0
    date_time_format: str = ""

    @property
    def end(self) -> int:
        return self.offset + self.length

    def wire(self) -> Json:
        """Return the MessageEntity object; the caller, who knows the people, adds a mentioned user."""
        wire: Json = {"offset": self.offset, "length": self.length, "type": self.type}
        for name in ("url", "language", "custom_emoji_id", "unix_time", "date_time_format"):
            if value := getattr(self, name):
                wire[name] = value
        if self.user_id:
            wire["user"] = {"id": self.user_id}
        return wire


def entity_from_wire(wire: Json) -> Entity:
    """Read a MessageEntity object given in an `entities` argument."""
    try:
        return Entity(
            type=str(wire["type"]),
            offset=int(wire["offset"]),
            length=int(wire["length"]),
            url=str(wire.get("url", "")),
            language=str(wire.get("language", "")),
            user_id=int(wire.get("user", {}).get("id", 0)),
            custom_emoji_id=str(wire.get("custom_emoji_id", "")),
            unix_time=int(wire.get("unix_time", 0)),
            date_time_format=str(wire.get("date_time_format", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise bad_request(f"can't parse MessageEntity: {error}") from error


def utf16_length(text: str) -> int:
    """Return the length of `text` in UTF-16 code units, in which Telegram counts."""
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def detect_entities(text: str) -> list[Entity]:
    """Find the entities Telegram detects itself: commands, links, addresses, mentions, hashtags."""
    found: list[tuple[int, int, str]] = []
    for kind, pattern in _DETECTORS:
        for match in pattern.finditer(text):
            if not any(match.start() < end and start < match.end() for start, end, _ in found):
                found.append((match.start(), match.end(), kind))
    return [
        Entity(type=kind, offset=utf16_length(text[:start]), length=utf16_length(text[start:end]))
        for start, end, kind in sorted(found)
    ]


def tidy_entities(text: str, given: Iterable[Entity]) -> list[Entity]:
    """Return the entities as the server stores them: detected ones added, monospace freed of others, sorted.

    Source: `fix_formatted_text` in https://github.com/tdlib/td/blob/master/td/telegram/MessageEntity.cpp
    """
    length = utf16_length(text)
    entities = [clipped for entity in given if (clipped := _clip(entity, length)) is not None]
    solid = _without_overlaps([entity for entity in entities if entity.type not in SPLITTABLE | QUOTES])
    quotes = _without_overlaps([entity for entity in entities if entity.type in QUOTES])
    detected = [
        entity
        for entity in detect_entities(text)
        if not any(entity.offset < other.end and other.offset < entity.end for other in solid)
    ]
    monospace = [entity for entity in solid if entity.type in MONOSPACE]
    styles = [
        part
        for entity in _merged([entity for entity in entities if entity.type in SPLITTABLE])
        for part in _around(entity, monospace)
    ]
    everything = solid + quotes + detected + styles
    return sorted(everything, key=lambda entity: (entity.offset, -entity.length, entity.type))[:ENTITIES_LIMIT]


def trim_text(text: str, entities: Iterable[Entity]) -> tuple[str, list[Entity]]:
    """Drop white space around the text and move the entities with it."""
    left = utf16_length(text) - utf16_length(text.lstrip())
    stripped = text.strip()
    return stripped, [replace(entity, offset=entity.offset - left) for entity in entities]


def _clip(entity: Entity, length: int) -> Entity | None:
    start, end = max(entity.offset, 0), min(entity.end, length)
    return replace(entity, offset=start, length=end - start) if end > start else None


def _without_overlaps(entities: list[Entity]) -> list[Entity]:
    kept: list[Entity] = []
    for entity in sorted(entities, key=lambda entity: (entity.offset, -entity.length)):
        if not kept or entity.offset >= kept[-1].end:
            kept.append(entity)
    return kept


def _merged(entities: list[Entity]) -> list[Entity]:
    """Join touching or overlapping spans of one style."""
    merged: list[Entity] = []
    for kind in SPLITTABLE:
        spans = sorted((e for e in entities if e.type == kind), key=lambda entity: entity.offset)
        last: Entity | None = None
        for span in spans:
            if last is not None and span.offset <= last.end:
                last = replace(last, length=max(last.end, span.end) - last.offset)
                merged[-1] = last
            else:
                last = span
                merged.append(span)
    return merged


def _around(entity: Entity, holes: list[Entity]) -> Iterator[Entity]:
    start = entity.offset
    for hole in holes:
        if hole.end <= start or hole.offset >= entity.end:
            continue
        if hole.offset > start:
            yield replace(entity, offset=start, length=hole.offset - start)
        start = hole.end
    if start < entity.end:
        yield replace(entity, offset=start, length=entity.end - start)
