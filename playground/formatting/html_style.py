"""Telegram's HTML style: text and entities from markup, refused in the server's exact words.

Source: `do_parse_html` in https://github.com/tdlib/td/blob/master/td/telegram/MessageEntity.cpp
"""

import re
from dataclasses import dataclass, field

from playground.api.bot_api_wire import ApiError, bad_request
from playground.formatting.entities import Entity

_STYLES = {
    "b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
    "s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler", "span": "spoiler",
}  # fmt: skip
_TAGS = frozenset(_STYLES) | {"a", "code", "pre", "blockquote", "tg-emoji", "tg-time"}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_CHARACTER = re.compile(r"&(?:#x([0-9a-fA-F]{1,8})|#([0-9]{1,8})|(lt|gt|amp|quot)(?![A-Za-z]));?")
_ATTRIBUTE_VALUE = re.compile(r"[A-Za-z0-9.\-]*")
_SPACE = re.compile(r"\s*")


def _refuse(reason: str) -> ApiError:
    return bad_request(f"can't parse entities: {reason}")


@dataclass(kw_only=True)
class _OpenTag:
    tag: str
    attributes: dict[str, str]
    offset: int
    position: int


@dataclass
class _HtmlParser:
    source: str
    position: int = 0
    utf16: int = 0
    output: list[str] = field(default_factory=list)
    open: list[_OpenTag] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)

    def run(self) -> tuple[str, list[Entity]]:
        while self.position < len(self.source):
            character = self.source[self.position]
            if character == "<":
                self._tag()
            elif character == "&":
                self._character_reference()
            else:
                self._emit(character)
                self.position += 1
        if self.open:
            raise _refuse(f'Can\'t find end tag corresponding to start tag "{self.open[-1].tag}"')
        return "".join(self.output), self.entities

    def _emit(self, character: str) -> None:
        self.output.append(character)
        self.utf16 += 2 if ord(character) > 0xFFFF else 1

    def _byte_offset(self, position: int) -> int:
        return len(self.source[:position].encode())

    def _character_reference(self) -> None:
        match = _CHARACTER.match(self.source, self.position)
        character = _decoded(match) if match else None
        self._emit(character or "&")
        self.position = match.end() if match and character else self.position + 1

    def _tag(self) -> None:
        if self.source.startswith("</", self.position):
            self._end_tag()
        else:
            self._start_tag()

    def _name_until(self, position: int, stops: str) -> int:
        while (
            position < len(self.source) and not self.source[position].isspace() and self.source[position] not in stops
        ):
            position += 1
        return position

    def _start_tag(self) -> None:
        begin = self.position
        end = self._name_until(begin + 1, ">")
        if end >= len(self.source):
            raise _refuse(f"Unclosed start tag at byte offset {self._byte_offset(begin)}")
        tag = self.source[begin + 1 : end].lower()
        if tag not in _TAGS:
            raise _refuse(f'Unsupported start tag "{tag}" at byte offset {self._byte_offset(begin)}')
        self.position = end
        attributes = self._attributes(tag, begin)
        if tag == "span" and attributes.get("class") != "tg-spoiler":
            raise _refuse(f'Tag "span" must have class "tg-spoiler" at byte offset {self._byte_offset(begin)}')
        self.open.append(_OpenTag(tag=tag, attributes=attributes, offset=self.utf16, position=len(self.output)))

    def _skip_space(self) -> None:
        match = _SPACE.match(self.source, self.position)
        self.position = match.end() if match else self.position

    def _attributes(self, tag: str, begin: int) -> dict[str, str]:
        attributes: dict[str, str] = {}
        unclosed = _refuse(f"Unclosed start tag at byte offset {self._byte_offset(begin)}")
        while True:
            self._skip_space()
            if self.position >= len(self.source):
                raise unclosed
            if self.source[self.position] == ">":
                self.position += 1
                return attributes
            start = self.position
            self.position = self._name_until(start, "=>")
            name = self.source[start : self.position].lower()
            if not name:
                offset = self._byte_offset(begin)
                raise _refuse(f'Empty attribute name in the tag "{tag}" at byte offset {offset}')
            self._skip_space()
            if not self.source.startswith("=", self.position):
                attributes[name] = ""
                continue
            self.position += 1
            self._skip_space()
            if self.position >= len(self.source):
                raise unclosed
            attributes[name] = self._attribute_value()

    def _attribute_value(self) -> str:
        quote = self.source[self.position]
        if quote in "'\"":
            end = self.source.find(quote, self.position + 1)
            end = len(self.source) if end < 0 else end
            raw = self.source[self.position + 1 : end]
            self.position = end + 1
            return _CHARACTER.sub(lambda match: _decoded(match) or match.group(), raw)
        start = self.position
        match = _ATTRIBUTE_VALUE.match(self.source, start)
        self.position = match.end() if match else start
        if self.position < len(self.source) and self.source[self.position] not in ">" + " \t\n\r":
            raise _refuse(f"Unexpected end of name token at byte offset {self._byte_offset(start)}")
        return self.source[start : self.position].lower()

    def _end_tag(self) -> None:
        begin = self.position
        offset = self._byte_offset(begin)
        if not self.open:
            raise _refuse(f"Unexpected end tag at byte offset {offset}")
        end = self._name_until(begin + 2, ">")
        name = self.source[begin + 2 : end].lower()
        self.position = end
        self._skip_space()
        if not self.source.startswith(">", self.position):
            raise _refuse(f"Unclosed end tag at byte offset {offset}")
        self.position += 1
        opened = self.open[-1]
        if name and name != opened.tag:
            raise _refuse(f'Unmatched end tag at byte offset {offset}, expected "</{opened.tag}>", found "</{name}>"')
        self.open.pop()
        if self.utf16 > opened.offset:
            self._close(opened)

    def _close(self, opened: _OpenTag) -> None:
        offset, length, attributes = opened.offset, self.utf16 - opened.offset, opened.attributes
        if opened.tag in _STYLES:
            self.entities.append(Entity(type=_STYLES[opened.tag], offset=offset, length=length))
        elif opened.tag in {"code", "pre"}:
            self._close_monospace(opened, length)
        elif opened.tag == "blockquote":
            kind = "expandable_blockquote" if "expandable" in attributes else "blockquote"
            self.entities.append(Entity(type=kind, offset=offset, length=length))
        elif opened.tag == "a":
            self._close_link(opened, length)
        elif opened.tag == "tg-emoji":
            emoji = attributes.get("emoji-id", "")
            if not emoji.isdigit():
                raise _refuse("Invalid custom emoji identifier specified")
            self.entities.append(Entity(type="custom_emoji", offset=offset, length=length, custom_emoji_id=emoji))
        elif opened.tag == "tg-time":
            unix = attributes.get("unix", "")
            if not unix.isdigit():
                raise _refuse("Invalid Unix timestamp specified")
            style = attributes.get("format", "")
            self.entities.append(
                Entity(type="date_time", offset=offset, length=length, unix_time=int(unix), date_time_format=style)
            )

    def _close_monospace(self, opened: _OpenTag, length: int) -> None:
        """Append code or pre; `<pre><code class="language-x">` becomes one pre with its language."""
        language = opened.attributes.get("class", "").removeprefix("language-") if opened.tag == "code" else ""
        last = self.entities[-1] if self.entities else None
        if last and last.type in {"code", "pre"} and (last.offset, last.length) == (opened.offset, length):
            if last.type != opened.tag:
                self.entities[-1] = Entity(
                    type="pre", offset=opened.offset, length=length, language=last.language or language
                )
            return
        self.entities.append(Entity(type=opened.tag, offset=opened.offset, length=length, language=language))

    def _close_link(self, opened: _OpenTag, length: int) -> None:
        url = opened.attributes.get("href") or "".join(self.output[opened.position :])
        mention = re.fullmatch(r"tg://user\?id=(\d+)", url)
        if mention:
            user_id = int(mention.group(1))
            self.entities.append(Entity(type="text_mention", offset=opened.offset, length=length, user_id=user_id))
        elif checked := checked_link(url):
            self.entities.append(Entity(type="text_link", offset=opened.offset, length=length, url=checked))


def _decoded(match: re.Match[str]) -> str | None:
    hexadecimal, decimal, named = match.groups()
    if named:
        return _NAMED[named]
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return chr(code) if 0 < code < 0x10FFFF and not 0xD800 <= code <= 0xDFFF else None


def checked_link(url: str) -> str:
    """Return the link as Telegram keeps it; "" for an invalid one: such an `<a>` stays plain text."""
    url = url.strip()
    match = re.match(r"(?i)(?:([a-z][a-z0-9+.-]*):(?://)?)?([^/?#\s]+)(.*)", url, re.DOTALL)
    if match is None or any(character.isspace() for character in url):
        return ""
    scheme, host, rest = match.groups()
    scheme = (scheme or "http").lower()
    if scheme == "mailto" or (scheme == "tel" and host):
        return f"{scheme}:{host}{rest}"
    is_host = re.fullmatch(r"(?i)(?:[^@]*@)?(?:[\w-]+\.)*[\w-]+(?::\d+)?", host) and (
        "." in host or scheme in {"tg", "ton"}
    )
    if scheme not in {"http", "https", "ftp", "tg", "ton"} or not is_host:
        return ""
    return f"{scheme}://{host}{rest or '/'}" if scheme not in {"tg", "ton"} else f"{scheme}://{host}{rest}"


def parse_html(source: str) -> tuple[str, list[Entity]]:
    """Return the text and the raw entities of `source`; refuse markup that the real server refuses."""
    text, entities = _HtmlParser(source).run()
    plain_code = [
        Entity(type="code", offset=entity.offset, length=entity.length) if entity.type == "code" else entity
        for entity in entities
    ]
    return text, plain_code
