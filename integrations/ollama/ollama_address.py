"""Address of Ollama: checked, and shown without credentials."""

from __future__ import annotations

from urllib.parse import urlsplit

from core.errors import SettingsError
from core.settings import OllamaSettings


def check_address(settings: OllamaSettings) -> None:
    """Raise SettingsError if `ollama.url` is not a valid address."""
    try:
        parts = urlsplit(settings.url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or any(character.isspace() for character in settings.url):
        raise SettingsError(f"`ollama.url` {settings.url!r} isn't an address; use one like 'http://127.0.0.1:11434'")


def shown_address(settings: OllamaSettings) -> str:
    """Return the address without user and password."""
    parts = urlsplit(settings.url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")
