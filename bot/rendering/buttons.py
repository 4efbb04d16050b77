"""Payloads of buttons: typed, packed within Telegram's 64 bytes, parsed without trust."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar, Self

from telegram import InlineKeyboardMarkup

from core.errors import GuardianError
from core.text import Language, Texts
from core.views.cards import ButtonAction, ButtonStyle, Card, CardButton

PAYLOAD_LIMIT = 64  # bytes; Telegram Bot API, InlineKeyboardButton.callback_data
LABEL_LIMIT = 64
_STYLES = {ButtonStyle.PRIMARY: "primary", ButtonStyle.SUCCESS: "success", ButtonStyle.DANGER: "danger"}
_kinds: dict[str, type[ButtonPayload]] = {}


class PayloadTooLong(GuardianError):
    """A button's payload is longer than Telegram takes; the message names it. Keep ids short."""


@dataclass(frozen=True, kw_only=True)
class ButtonPayload:
    """Payload of one kind of button; its fields are strings or whole numbers without a colon."""

    code: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if cls.code in _kinds:
            raise ValueError(f"two kinds of buttons are called {cls.code!r}")
        _kinds[cls.code] = cls

    def pack(self) -> str:
        """Pack into callback data; raises PayloadTooLong beyond 64 bytes."""
        packed = ":".join([self.code, *(str(getattr(self, field.name)) for field in fields(self))])
        if len(packed.encode()) > PAYLOAD_LIMIT:
            raise PayloadTooLong(f"the button {packed!r} takes {len(packed.encode())} bytes of {PAYLOAD_LIMIT}")
        return packed

    @classmethod
    def read(cls, parts: list[str]) -> Self | None:
        """Parse the fields; None when they do not fit."""
        wanted = fields(cls)
        if len(parts) != len(wanted):
            return None
        values: dict[str, object] = {}
        for field, part in zip(wanted, parts, strict=True):
            if field.type == "int":
                if not part.isascii() or not part.isdigit() or len(part) > 18:
                    return None
                values[field.name] = int(part)
            else:
                values[field.name] = part
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class ApproveButton(ButtonPayload):
    """Approve one approval; `seen` counts the confirmations that the button showed."""

    code: ClassVar[str] = "ap"
    approval_id: str
    seen: int


@dataclass(frozen=True, kw_only=True)
class DenyButton(ButtonPayload):
    """Deny one approval."""

    code: ClassVar[str] = "dn"
    approval_id: str


@dataclass(frozen=True, kw_only=True)
class ApproveAllButton(ButtonPayload):
    """Approve exactly the approvals that the digest stands for."""

    code: ClassVar[str] = "aa"
    incident_id: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class DenyAllButton(ButtonPayload):
    """Deny every pending approval of an incident."""

    code: ClassVar[str] = "da"
    incident_id: int


@dataclass(frozen=True, kw_only=True)
class WhyButton(ButtonPayload):
    """Show the reasons."""

    code: ClassVar[str] = "wy"
    incident_id: int


@dataclass(frozen=True, kw_only=True)
class LogsButton(ButtonPayload):
    """Show the service's last lines."""

    code: ClassVar[str] = "lg"
    incident_id: int


@dataclass(frozen=True, kw_only=True)
class MetricsButton(ButtonPayload):
    """Draw the service's resources."""

    code: ClassVar[str] = "mt"
    incident_id: int


@dataclass(frozen=True, kw_only=True)
class SilenceButton(ButtonPayload):
    """Mute the service for an hour."""

    code: ClassVar[str] = "si"
    incident_id: int


@dataclass(frozen=True, kw_only=True)
class TakeButton(ButtonPayload):
    """Acknowledge the incident: the presser takes it."""

    code: ClassVar[str] = "tk"
    incident_id: int


@dataclass(frozen=True, kw_only=True)
class CloseButton(ButtonPayload):
    """Close the incident by hand; the bot asks for the reason."""

    code: ClassVar[str] = "cl"
    incident_id: int


@dataclass(frozen=True, kw_only=True)
class CommandButton(ButtonPayload):
    """Run the command stored under the token, with the message."""

    code: ClassVar[str] = "go"
    token: str


@dataclass(frozen=True, kw_only=True)
class CancelButton(ButtonPayload):
    """Stop a slow answer."""

    code: ClassVar[str] = "cx"
    update_id: int


def parse_callback_data(data: str | None) -> ButtonPayload | None:
    """Parse callback data; None when it belongs to no button of ours."""
    code, _, rest = (data or "").partition(":")
    kind = _kinds.get(code)
    return kind.read(rest.split(":")) if kind and code and len((data or "").encode()) <= PAYLOAD_LIMIT else None


def button_payload(button: CardButton) -> ButtonPayload:
    """Build the payload of a card's button; a command's button carries its token as subject."""
    if button.press is ButtonAction.APPROVE:
        return ApproveButton(approval_id=button.subject, seen=int(button.detail or 0))
    if button.press is ButtonAction.DENY:
        return DenyButton(approval_id=button.subject)
    if button.press is ButtonAction.COMMAND:
        return CommandButton(token=button.subject)
    if button.press is ButtonAction.CANCEL:
        return CancelButton(update_id=int(button.subject))
    incident_id = int(button.subject)
    if button.press is ButtonAction.APPROVE_ALL:
        return ApproveAllButton(incident_id=incident_id, digest=button.detail)
    return _OF_INCIDENT[button.press](incident_id=incident_id)


_OF_INCIDENT: dict[ButtonAction, Callable[..., ButtonPayload]] = {
    ButtonAction.DENY_ALL: DenyAllButton,
    ButtonAction.WHY: WhyButton,
    ButtonAction.LOGS: LogsButton,
    ButtonAction.METRICS: MetricsButton,
    ButtonAction.SILENCE: SilenceButton,
    ButtonAction.TAKE: TakeButton,
    ButtonAction.CLOSE: CloseButton,
}


def keyboard_json(card: Card, texts: Texts, language: Language) -> list[list[dict[str, str]]]:
    """The card's buttons as JSON of the Bot API, for the outbox."""
    return [[_button(button, texts, language) for button in row] for row in card.buttons]


def _button(button: CardButton, texts: Texts, language: Language) -> dict[str, str]:
    label = " ".join(texts.render(button.label, language).split())
    label = f"{label[: LABEL_LIMIT - 1]}…" if len(label) > LABEL_LIMIT else label or "–"
    spelled = {"text": label, "callback_data": button_payload(button).pack()}
    if button.weight in _STYLES:
        spelled["style"] = _STYLES[button.weight]
    return spelled


def keyboard_markup(rows: list[list[dict[str, str]]]) -> InlineKeyboardMarkup | None:
    """The keyboard for the client library, from what the outbox kept."""
    if not rows:
        return None
    return InlineKeyboardMarkup.de_json({"inline_keyboard": rows}, None)
