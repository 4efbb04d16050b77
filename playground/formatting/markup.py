"""Turns text and entities back into markup, so that a test can compare a shown message as one string."""

from html import escape

from playground.api.bot_api_wire import Json

_TAGS = {
    "bold": "b", "italic": "i", "underline": "u", "strikethrough": "s", "spoiler": "tg-spoiler", "code": "code",
    "blockquote": "blockquote",
}  # fmt: skip


def _tags(entity: Json) -> tuple[str, str] | None:
    kind = entity["type"]
    if kind in _TAGS:
        return f"<{_TAGS[kind]}>", f"</{_TAGS[kind]}>"
    if kind == "pre":
        language = entity.get("language")
        if language:
            return f'<pre><code class="language-{escape(language)}">', "</code></pre>"
        return "<pre>", "</pre>"
    if kind == "expandable_blockquote":
        return "<blockquote expandable>", "</blockquote>"
    if kind == "text_link":
        return f'<a href="{escape(entity["url"])}">', "</a>"
    if kind == "text_mention":
        return f'<a href="tg://user?id={entity["user"]["id"]}">', "</a>"
    if kind == "date_time":
        return f'<tg-time unix="{entity["unix_time"]}">', "</tg-time>"
    return None


def as_html(text: str, entities: list[Json]) -> str:
    """Return the text as Telegram HTML; entities that Telegram detects itself are not marked."""
    marked = [(entity, tags) for entity in entities if (tags := _tags(entity)) is not None]
    opening: dict[int, str] = {}
    closing: dict[int, str] = {}
    for entity, (start, end) in sorted(marked, key=lambda item: (item[0]["offset"], -item[0]["length"])):
        last = entity["offset"] + entity["length"]
        opening[entity["offset"]] = opening.get(entity["offset"], "") + start
        closing[last] = end + closing.get(last, "")
    parts: list[str] = []
    offset = 0
    for character in text:
        parts.append(closing.get(offset, "") + opening.get(offset, "") + escape(character, quote=False))
        offset += 2 if ord(character) > 0xFFFF else 1
    return "".join(parts) + closing.get(offset, "")
