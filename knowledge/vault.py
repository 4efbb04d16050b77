"""Encrypts at rest what may hold secrets: undo data, version history. One key, from the settings or a file of 0600."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from core.actions.catalog import JsonObject
from core.errors import SettingsError

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_FILE = "secret.key"
SCRYPT_SALT = b"infraguardian.vault"  # a passphrase must give the same key on every start, without a place for a salt
FERNET_KEY_LENGTH = 44


class Vault:
    """Seals JSON objects with Fernet and opens them again."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._opened: Fernet | None = None

    def seal(self, value: JsonObject) -> bytes:
        """Encrypt and authenticate a value."""
        return self._fernet().encrypt(json.dumps(value, separators=(",", ":")).encode())

    def open(self, secret: bytes, *, what: str) -> JsonObject:
        """Decrypt a value of `seal`; raises SettingsError, naming `what`, if it was encrypted with another key."""
        from cryptography.fernet import InvalidToken

        try:
            return cast("JsonObject", json.loads(self._fernet().decrypt(secret)))
        except InvalidToken as error:
            raise SettingsError(
                f"{what} was encrypted with another key; set INFRAGUARDIAN_KEY (or put back {KEY_FILE!r} in data_dir) "
                "to what it was when this was written"
            ) from error

    def _fernet(self) -> Fernet:
        if self._opened is None:
            from cryptography.fernet import Fernet

            self._opened = Fernet(self._key)
        return self._opened


def load_key(configured: str | None, data_dir: Path) -> bytes:
    """Load the key: from the settings (a Fernet key, or a passphrase of 12 characters or more), else from its file.

    A missing file is created. Blocks: a passphrase costs about 50 ms on purpose.
    """
    if configured is not None:
        return _from_setting(configured)
    path = data_dir / KEY_FILE
    try:
        return _read(path)
    except FileNotFoundError:
        return _make(path)


def _from_setting(configured: str) -> bytes:
    if _is_fernet_key(configured.encode()):
        return configured.encode()
    if len(configured) < 12:
        raise SettingsError("the setting key (INFRAGUARDIAN_KEY) is too short: use at least 12 characters")
    derived = hashlib.scrypt(configured.encode(), salt=SCRYPT_SALT, n=2**14, r=8, p=1, dklen=32)
    return base64.urlsafe_b64encode(derived)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
        key = path.read_bytes().strip()
    except PermissionError as error:
        raise SettingsError(f"the key file {str(path)!r} cannot be read: {error.strerror}; check its owner") from error
    if not _is_fernet_key(key):
        raise SettingsError(f"the key file {str(path)!r} holds no key of 44 characters; restore it from a backup")
    return key


def _make(path: Path) -> bytes:
    """Write a new key to a draft and link it in place: a crash leaves either no file or a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    key = base64.urlsafe_b64encode(os.urandom(32))
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return _read(path)
    finally:
        draft.unlink()
    return key


def _is_fernet_key(key: bytes) -> bool:
    try:
        return len(key) == FERNET_KEY_LENGTH and len(base64.urlsafe_b64decode(key)) == 32
    except ValueError:
        return False
