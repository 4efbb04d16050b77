"""Masks secrets in command lines and other free text of a Compose file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.redaction import MASK, is_secret_name, redact

_SECRET_PART = re.compile(
    r"(?i)pass|pwd|secret|token|apikey|api[-_]key|auth|cred|private|salt|hash|seed|mnemonic|jwt|dsn"
)
_FLAG = re.compile(
    r"(?<![^\s\"',=\[({;&|])(?P<flag>--?[A-Za-z][A-Za-z0-9_.-]{0,60}+)(?P<sign>[= \t]+|[\"'],?[ \t]*[\"']?)"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|'[^']*'|[^\s\"',\])]+)"
)
_ATTACHED = re.compile(r"(?<![^\s\"',\[({;&|])(?P<flag>-[pP])(?P<value>[^\s\"',\]=-][^\s\"',\]]{2,})")
_SHORT_FLAGS = frozenset({"-p", "-P", "-a", "-u", "-U", "-w", "-W", "-k", "-H"})
"""A password, a user with one, a key or a header in mysql, redis-cli, curl, ldapsearch."""
_ASSIGNED = re.compile(
    r"(?P<name>(?<![A-Za-z0-9_$.{-])[A-Za-z_][A-Za-z0-9_.-]{0,80}+)=(?P<value>\"[^\"]*\"|'[^']*'|[^\s\"',;&|)]+)"
)
_RANDOM = re.compile(
    r"(?<![A-Za-z0-9+=_/.:$-])(?=[^0-9\s]{0,60}[0-9])(?=[^A-Za-z\s]{0,60}[A-Za-z])[A-Za-z0-9+=_-]{20,200}+(?![A-Za-z0-9/.:])"
)
_CRYPT = re.compile(r"\$\$?(?:apr1|2[abxy]|[156y]|argon2[id]+)\$[^\s\"',\]]+")
_HTPASSWD = re.compile(r"\{SHA\}[^\s\"',\]]+")
_HARMLESS = re.compile(
    r"(?i)true|false|yes|no|on|off|null|~|[0-9]{1,5}|[0-9]{1,4}\.[0-9]{1,4}|[0-9]{1,4}(?:ms|s|m|h|kb?|mb?|gb?)|"
)
_VARIABLE = re.compile(r"(?:\$\$?\{[A-Za-z_][A-Za-z0-9_]*\}|\$\$?[A-Za-z_][A-Za-z0-9_]*)")


def cannot_be_secret(value: str) -> bool:
    """Return whether a value can be no secret by its form: a small number, a boolean, a duration or only a variable."""
    return _HARMLESS.fullmatch(value.strip()) is not None or _VARIABLE.fullmatch(value.strip()) is not None


def is_secret_key(name: str) -> bool:
    """Return whether the name of a key, label, flag or variable suggests a secret."""
    return is_secret_name(name) or _SECRET_PART.search(name) is not None


def mask_secrets(text: str) -> str:
    """Return the text with passwords, tokens and keys masked; its line breaks stay."""
    text = _CRYPT.sub(MASK, text)
    text = _HTPASSWD.sub(MASK, text)
    text = _without_flags(text)
    text = _ATTACHED.sub(_attached, text)
    text = _ASSIGNED.sub(_assigned, text)
    text = _RANDOM.sub(MASK, text)
    return "".join(redact(part) if position % 2 == 0 else part for position, part in enumerate(LINE_BREAKS.split(text)))


LINE_BREAKS = re.compile(r"(\r\n|\r|\n)")


def mask_command_words(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a command line with secrets masked, within a word or as the value of the flag before it."""
    shown: list[str] = []
    for position, word in enumerate(words):
        before = words[position - 1] if position else ""
        is_value = is_secret_flag(before) and not word.startswith("-")
        shown.append(MASK if is_value and not cannot_be_secret(word) else mask_secrets(word))
    return tuple(shown)


def is_secret_flag(flag: str) -> bool:
    """Return whether the word after this flag is a secret, as after `--requirepass` or `-p`."""
    if not flag.startswith("-") or "=" in flag:
        return False
    return flag in _SHORT_FLAGS if len(flag) == 2 else is_secret_key(flag.lstrip("-"))


def _without_flags(text: str) -> str:
    """Mask the values of secret flags, also inside the values of other flags: `sh -c "mysql -p x"`."""
    parts: list[str] = []
    position = 0
    while (found := _FLAG.search(text, position)) is not None:
        value = found["value"]
        is_secret = is_secret_flag(found["flag"]) and not (
            cannot_be_secret(value.strip("\"'")) or value.startswith(("-", "/"))
        )
        end = found.end() if is_secret else found.end("flag")
        parts.append(text[position : found.start("value")] + MASK if is_secret else text[position:end])
        position = end
    return "".join([*parts, text[position:]])


def _attached(found: re.Match[str]) -> str:
    return found.group() if cannot_be_secret(found["value"]) else f"{found['flag']}{MASK}"


def _assigned(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"].strip("\"'")
    is_variable = name.upper() == name or is_secret_key(name)
    if (
        not is_variable
        or value.startswith(MASK)
        or (cannot_be_secret(value) and not (value.isdigit() and is_secret_key(name)))
    ):
        return found.group()
    return f"{name}={MASK}"
