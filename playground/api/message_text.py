"""Turns the text arguments of a call into the text a message shows: cleaned, parsed, measured."""

from dataclasses import dataclass

from playground.api.bot_api_wire import CallArguments, Json, bad_request
from playground.formatting.entities import Entity, entity_from_wire, tidy_entities, trim_text
from playground.formatting.html_style import parse_html
from playground.formatting.markdown_v2 import parse_markdown_v2

TEXT_LIMIT = 4096  # characters after entity parsing
CAPTION_LIMIT = 1024
RAW_TEXT_LIMIT = 32768  # bytes of the argument as sent


@dataclass(frozen=True, kw_only=True)
class FormattedText:
    """A text with its entities as the server stores them."""

    text: str
    entities: tuple[Entity, ...] = ()

    def wire_entities(self) -> list[Json]:
        return [entity.wire() for entity in self.entities]


def typed_text(text: str) -> FormattedText:
    """Return a text typed by a person, with the entities Telegram detects in it."""
    clean = clean_message_text(text).strip()
    return FormattedText(text=clean, entities=tuple(tidy_entities(clean, [])))


def clean_message_text(text: str) -> str:
    """Return the text without forbidden characters: carriage returns go, other control characters become spaces."""
    return "".join(" " if character < " " and character != "\n" else character for character in text.replace("\r", ""))


def read_formatted_text(
    arguments: CallArguments, name: str = "text", *, entities: str = "entities", mode: str = "parse_mode"
) -> FormattedText:
    """Read a text argument with its parse mode or its explicit entities."""
    raw = arguments.text(name)
    if len(raw.encode()) > RAW_TEXT_LIMIT:
        raise bad_request("text is too long")
    parse_mode = arguments.text(mode).lower()
    source = clean_message_text(raw)
    if parse_mode == "html":
        text, marked = parse_html(source)
    elif parse_mode == "markdownv2":
        text, marked = parse_markdown_v2(source)
    elif parse_mode in {"", "none"}:
        text, marked = source, [entity_from_wire(entity) for entity in arguments.objects(entities)]
    else:
        raise bad_request("unsupported parse_mode")
    text, marked = trim_text(text, marked)
    return FormattedText(text=text, entities=tuple(tidy_entities(text, marked)))


def read_message_text(arguments: CallArguments) -> FormattedText:
    """Return the text of a message; refuse an empty or too long one."""
    result = read_formatted_text(arguments)
    if not result.text:
        raise bad_request("message text is empty")
    if len(result.text) > TEXT_LIMIT:
        raise bad_request("message is too long")
    return result


def read_caption(arguments: CallArguments) -> FormattedText:
    """Return the caption of a photo or file, which may be empty."""
    result = read_formatted_text(arguments, "caption", entities="caption_entities")
    if len(result.text) > CAPTION_LIMIT:
        raise bad_request("message caption is too long")
    return result
