"""Redacts secrets in text before anybody sees it: people, the model, the log, the memory.

Linear in the length of the text whatever is in it: repetitions are possessive and bounded, and start at a boundary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from urllib.parse import quote

from pydantic import JsonValue

MASK = "[secret]"
LEAST_KNOWN = 6
"""Minimum length of a registered secret; a shorter one would black out ordinary words."""
JSON_DEPTH_LIMIT = 60

_TOKENS = re.compile(
    r"(?<![0-9])[0-9]{6,12}+:[A-Za-z0-9_-]{30,100}+"  # Telegram bot
    r"|(?<![A-Za-z0-9])(?:"
    r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?![A-Z0-9])"  # AWS
    r"|gh[pousr]_[A-Za-z0-9]{20,255}+|github_pat_[A-Za-z0-9_]{20,255}+|glpat-[A-Za-z0-9_-]{16,100}+"
    r"|xox[abeprs]-[A-Za-z0-9-]{10,250}+|xapp-[A-Za-z0-9-]{10,250}+"  # Slack
    r"|sk-[A-Za-z0-9_-]{20,250}+|[sr]k_(?:live|test)_[A-Za-z0-9]{16,250}+"  # model providers, Stripe
    r"|AIza[A-Za-z0-9_-]{30,60}+|npm_[A-Za-z0-9]{30,60}+|dckr_pat_[A-Za-z0-9_-]{20,60}+"
    r"|eyJ[A-Za-z0-9_-]{8,4000}+\.[A-Za-z0-9_-]{8,8000}+\.[A-Za-z0-9_-]{0,2000}+"  # JSON Web Token
    r")"
)
_SLACK_HOOK = re.compile(r"(hooks\.slack\.com/services/)[A-Za-z0-9/_-]{10,200}+")
_URL_PASSWORD = re.compile(
    r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{1,30}+://[^\s/@:\"'<>]{0,200}+:)"
    r"(?!\[secret\]@)[^\s/@\"'<>]{1,500}+@(?:[^\s/@\"'<>]{0,200}+@){0,3}+"
)
_HEADER = re.compile(
    r"(?i)(?<![a-z-])((?:proxy-)?authorization|(?:set-)?cookie)([\\\"']{0,4}+[ \t]{0,4}+[:=][ \t]{0,4}+[\\\"']{0,4}+)"
    r"[^\r\n\"'\\]{1,8000}+"
)
_SCHEME = re.compile(r"(?i)(?<![a-z])(bearer|basic)([ \t]{1,3}+)([A-Za-z0-9._~+/=-]{12,8000}+)")
_NAME_AND_SIGN = re.compile(
    r"(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]{2,100}+)"
    r"(?:[\\\"']{0,4}+[ \t]{0,4}+(?:=>|:=|=|:)[ \t]{0,4}+|(?<=[a-z])[ \t]{1,3}+(?=[^\s:=]))"
)
_VALUE = re.compile(
    r"(?P<known>\[secret\])"
    r"|\\{1,3}\"(?P<escaped>[^\"\\]{0,4000}+)"
    r"|\"(?P<double>(?:[^\"\\]|\\.){0,4000}+)"
    r"|'(?P<single>[^'\r\n]{0,4000}+)"
    r"|(?P<bare>[^\s\"'&]{1,4000}+)"
)
_BEGIN_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}+-----")
_END_KEY = "-----END"
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_LOOKS_RANDOM = re.compile(r"(?=[^0-9]{0,60}[0-9])(?=[^A-Za-z]{0,60}[A-Za-z])[A-Za-z0-9+/_=.-]{16,200}+")

_SECRET_ENDS = ("password", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "apikey", "credential")
_SECRET_WORDS = frozenset({"pass", "credentials", "jwt", "dsn", "cookie", "sessionid"})
_OPEN_KEYS = frozenset(
    {"primary", "foreign", "sort", "cache", "partition", "routing", "public", "object", "row", "unique", "idempotency"}
    | {"config", "host", "index", "lock", "map", "dict", "missing", "sorted", "composite"}
)
_OPEN_VALUES = frozenset(
    {"true", "false", "null", "none", "nil", "yes", "no", "not", "is", "was", "has", "are", "or", "and", "for", "from"}
    | {
        "invalid",
        "expired",
        "missing",
        "required",
        "unset",
        "empty",
        "undefined",
        "failed",
        "refused",
        "authentication",
    }
    | {"in", "to", "of", "on", "at", "by", "must", "cannot", "with", "does"}
)


def redact(text: str) -> str:
    """Return the text without the secrets that their form or their name gives away. Idempotent."""
    text = _without_private_keys(text)
    text = _URL_PASSWORD.sub(rf"\g<1>{MASK}@", text)
    text = _SLACK_HOOK.sub(rf"\g<1>{MASK}", text)
    text = _TOKENS.sub(MASK, text)
    text = _HEADER.sub(rf"\g<1>\g<2>{MASK}", text)
    text = _SCHEME.sub(_scheme, text)
    return _without_named(text)


def redact_json(value: JsonValue) -> JsonValue:
    """Return the same value with strings redacted and all values under a secret's name masked."""
    return _json(value, redact, JSON_DEPTH_LIMIT)


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Return whether a setting, variable or field of that name holds a secret: DB_PASSWORD, apiKey, signing-key."""
    words = [word.casefold() for word in _WORDS.findall(name)]
    if any(word.endswith(_SECRET_ENDS) or word in _SECRET_WORDS for word in words):
        return True
    return any(
        word in ("key", "keys") and position > 0 and words[position - 1] not in _OPEN_KEYS
        for position, word in enumerate(words)
    )


class Redactor:
    """Redacts like `redact`, and also the exact secrets that this program knows (its tokens, its users' passwords)."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for secret in known:
            self.add(secret)

    def add(self, secret: str) -> None:
        """Register a secret; one shorter than 6 characters is ignored, for it would black out ordinary words."""
        if len(secret) >= LEAST_KNOWN:
            self._known |= {secret, quote(secret, safe="")}
            ordered = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(re.escape(one) for one in ordered))

    def redact(self, text: str) -> str:
        """Return the text without secrets."""
        return redact(self._pattern.sub(MASK, text) if self._pattern else text)

    def redact_json(self, value: JsonValue) -> JsonValue:
        """Return the value without secrets."""
        return _json(value, self.redact, JSON_DEPTH_LIMIT)


def _without_private_keys(text: str) -> str:
    parts: list[str] = []
    position = 0
    while (begin := _BEGIN_KEY.search(text, position)) is not None:
        if "PRIVATE KEY" not in begin.group():
            parts.append(text[position : begin.end()])
            position = begin.end()
            continue
        end = text.find(_END_KEY, begin.end())
        stop = len(text) if end < 0 else text.find("-----", end + len(_END_KEY))
        parts += [text[position : begin.start()], MASK]
        position = len(text) if end < 0 or stop < 0 else stop + len("-----")
    return "".join([*parts, text[position:]])


def _scheme(match: re.Match[str]) -> str:
    value = match.group(3)
    is_word = value.isalpha() and value.islower()
    return match.group() if is_word else f"{match.group(1)}{match.group(2)}{MASK}"


def _without_named(text: str) -> str:
    """Mask the values that follow a secret's name and a sign (or a blank: `--password x`, `token abc123…`)."""
    parts: list[str] = []
    position = 0
    for match in _NAME_AND_SIGN.finditer(text):
        if match.end() < position:
            continue
        name, is_bare_key = match.group(1), match.group(1).casefold() in ("key", "keys")
        if not is_bare_key and not is_secret_name(name):
            continue
        has_sign = match.group()[len(name) :].strip() != ""
        if is_bare_key or not (has_sign or name.startswith("--")):
            span = _random_span(text, match.end())
        else:
            span = _value_span(text, match.end())
        if span is not None:
            parts += [text[position : span[0]], MASK]
            position = span[1]
    return "".join([*parts, text[position:]])


def _random_span(text: str, at: int) -> tuple[int, int] | None:
    """Return the span of a random-looking value, for names that alone do not make it a secret."""
    while text[at : at + 1] in ("\\", '"', "'"):
        at += 1
    found = _LOOKS_RANDOM.match(text, at)
    return found.span() if found else None


def _value_span(text: str, at: int) -> tuple[int, int] | None:
    """Return the span of the value after a secret's name; None: there is none, or it tells nothing."""
    found = _VALUE.match(text, at)
    if found is None or found.lastgroup is None or found.lastgroup == "known":
        return None
    begin, end = found.span(found.lastgroup)
    value = text[begin:end].rstrip(",;)}]") if found.lastgroup == "bare" else text[begin:end]
    says_nothing = value.casefold().strip(".") in _OPEN_VALUES or (value.isdigit() and len(value) <= 4)
    if not value or value.startswith(MASK) or says_nothing:
        return None
    return begin, begin + len(value)


def _json(value: JsonValue, clean: Callable[[str], str], depth: int) -> JsonValue:
    if isinstance(value, str):
        return clean(value)
    if depth <= 0 and isinstance(value, dict | list):
        return MASK
    if isinstance(value, list):
        return [_json(item, clean, depth - 1) for item in value]
    if isinstance(value, dict):
        named = value.get("name") or value.get("key")
        is_pair = isinstance(named, str) and is_secret_name(named)
        return {
            key: _masked(item) if is_secret_name(key) or (is_pair and key == "value") else _json(item, clean, depth - 1)
            for key, item in value.items()
        }
    return value


def _masked(value: JsonValue) -> JsonValue:
    """Mask a value under a secret's name, unless it tells nothing (true, null, a small number)."""
    if value is None or isinstance(value, bool) or value in ("", 0):
        return value
    if isinstance(value, int | float) and abs(value) < 10_000:
        return value
    return MASK
