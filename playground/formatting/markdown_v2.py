"""Telegram's MarkdownV2 style: text and entities from markup, refused in the server's exact words.

Source: `do_parse_markdown_v2` in https://github.com/tdlib/td/blob/master/td/telegram/MessageEntity.cpp
"""

from dataclasses import dataclass, field

from playground.api.bot_api_wire import ApiError, bad_request
from playground.formatting.entities import Entity
from playground.formatting.html_style import checked_link

RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
_STYLES = {"*": "bold", "_": "italic", "__": "underline", "~": "strikethrough", "||": "spoiler"}


def _refuse(reason: str) -> ApiError:
    return bad_request(f"can't parse entities: {reason}")


@dataclass(kw_only=True)
class _OpenMarkup:
    mark: str
    offset: int
    begin: int
    language: str = ""


@dataclass
class _MarkdownParser:
    source: str
    position: int = 0
    utf16: int = 0
    output: list[str] = field(default_factory=list)
    open: list[_OpenMarkup] = field(default_factory=list)
    entities: list[Entity] = field(default_factory=list)
    quote_from: int | None = None

    def run(self) -> tuple[str, list[Entity]]:
        while self.position < len(self.source):
            self._step()
        if self.open:
            last = self.open[-1]
            kind = {"`": "Code", "```": "Pre", "[": "TextUrl"}.get(last.mark, _STYLES.get(last.mark, "").capitalize())
            raise _refuse(f"Can't find end of {kind} entity at byte offset {self._byte_offset(last.begin)}")
        self._end_quote(expandable=False)
        return "".join(self.output), self.entities

    def _byte_offset(self, position: int) -> int:
        return len(self.source[:position].encode())

    def _emit(self, character: str) -> None:
        self.output.append(character)
        self.utf16 += 2 if ord(character) > 0xFFFF else 1
        self.position += 1

    def _step(self) -> None:
        character = self.source[self.position]
        following = self.source[self.position + 1 : self.position + 2]
        if character == "\\" and following and ord(following) < 127:
            self.position += 1
            self._emit(following)
        elif self.open and self.open[-1].mark in {"`", "```"}:
            self._inside_monospace()
        elif character == "\n":
            self._emit(character)
            if self.quote_from is not None and not self.source.startswith(">", self.position):
                self._end_quote(expandable=False)
        elif character not in RESERVED:
            self._emit(character)
        elif character == ">" and (self.position == 0 or self.source[self.position - 1] == "\n"):
            self.quote_from = self.utf16 if self.quote_from is None else self.quote_from
            self.position += 1
        else:
            self._mark()

    def _inside_monospace(self) -> None:
        mark = self.open[-1].mark
        if self.source.startswith(mark, self.position):
            self.position += len(mark)
            self._close()
        else:
            self._emit(self.source[self.position])

    def _mark(self) -> None:
        rest = self.source[self.position :]
        mark = next((mark for mark in ("```", "__", "||", "*", "_", "~", "`", "[", "]") if rest.startswith(mark)), "")
        if not mark or (mark == "]" and not (self.open and self.open[-1].mark == "[")):
            raise _refuse(f"Character '{rest[0]}' is reserved and must be escaped with the preceding '\\'")
        if mark == "||" and self.quote_from is not None and rest[2:3] in {"", "\n"} and not self._is_open("||"):
            self.position += 2
            self._end_quote(expandable=True)
            return
        if self.open and (self.open[-1].mark == mark or mark == "]"):
            self.position += len(mark)
            self._close()
            return
        self.open.append(_OpenMarkup(mark=mark, offset=self.utf16, begin=self.position))
        self.position += len(mark)
        if mark == "```":
            self._language()

    def _is_open(self, mark: str) -> bool:
        return any(opened.mark == mark for opened in self.open)

    def _language(self) -> None:
        end = self.position
        while end < len(self.source) and not self.source[end].isspace() and self.source[end] != "`":
            end += 1
        if end < len(self.source) and self.source[end] == "\n":
            self.open[-1].language = self.source[self.position : end]
            self.position = end + 1

    def _close(self) -> None:
        opened = self.open.pop()
        offset, length = opened.offset, self.utf16 - opened.offset
        url = self._link_target() if opened.mark == "[" else ""
        if length == 0:
            return
        if opened.mark == "[":
            if checked := checked_link(url or "".join(self.output)[-length:]):
                self.entities.append(Entity(type="text_link", offset=offset, length=length, url=checked))
        elif opened.mark in {"`", "```"}:
            kind = "pre" if opened.mark == "```" else "code"
            self.entities.append(Entity(type=kind, offset=offset, length=length, language=opened.language))
        else:
            self.entities.append(Entity(type=_STYLES[opened.mark], offset=offset, length=length))

    def _link_target(self) -> str:
        if not self.source.startswith("(", self.position):
            return ""
        begin = self.position
        url: list[str] = []
        self.position += 1
        while self.position < len(self.source) and self.source[self.position] != ")":
            if self.source[self.position] == "\\" and self.position + 1 < len(self.source):
                self.position += 1
            url.append(self.source[self.position])
            self.position += 1
        if self.position >= len(self.source):
            raise _refuse(f"Can't find end of a URL at byte offset {self._byte_offset(begin)}")
        self.position += 1
        return "".join(url)

    def _end_quote(self, *, expandable: bool) -> None:
        if self.quote_from is not None and self.utf16 > self.quote_from:
            kind = "expandable_blockquote" if expandable else "blockquote"
            self.entities.append(Entity(type=kind, offset=self.quote_from, length=self.utf16 - self.quote_from))
        self.quote_from = None


def parse_markdown_v2(source: str) -> tuple[str, list[Entity]]:
    """Return the text and the raw entities of `source`; refuse markup that the real server refuses."""
    return _MarkdownParser(source).run()
