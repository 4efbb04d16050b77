"""Lock on the data directory: two programs would each carry out the same approved calls."""

from __future__ import annotations

import asyncio
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from core.errors import SettingsError

LOCK_FILE = "guardian.lock"
PREDECESSOR_WAIT_S = 3.0
"""Wait for a predecessor that is just ending."""
LOCK_RETRY_S = 0.1


class DataDirLock:
    """Locks the data directory inside `async with Ownership(data_dir)`; the kernel frees it however the process ends.

    Raises SettingsError when another process has it, or it cannot be written.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / LOCK_FILE
        self._file: int | None = None

    async def __aenter__(self) -> Self:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(
                f"`data_dir` {str(self._path.parent)!r} isn't writable ({error.strerror}); "
                "give this user write permission, or choose another folder with INFRAGUARDIAN_DATA_DIR"
            ) from error
        try:
            await self._wait_for(file)
        except BaseException:  # cut off while waiting: the file must not stay open
            os.close(file)
            raise
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        self._file = file
        return self

    async def _wait_for(self, file: int) -> None:
        give_up = asyncio.get_running_loop().time() + PREDECESSOR_WAIT_S
        while not _locked(file):
            if asyncio.get_running_loop().time() > give_up:
                holder = os.pread(file, 20, 0).decode(errors="replace").strip() or "unknown"
                raise SettingsError(
                    f"another InfraGuardian (process {holder}) is already using {str(self._path.parent)!r}; stop it, "
                    "or give this one its own `data_dir` and bot"
                )
            await asyncio.sleep(LOCK_RETRY_S)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
