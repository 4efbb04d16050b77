"""Two programs never work in one data directory."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from core.errors import SettingsError
from knowledge.ownership import DataDirLock

HOLDER = """
import asyncio, pathlib, sys
from knowledge.ownership import DataDirLock
async def main():
    async with DataDirLock(pathlib.Path(sys.argv[1])):
        print("mine", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def test_a_second_start_on_the_same_records_is_refused_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    first = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, str(tmp_path), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert first.stdout is not None
    assert await first.stdout.readline() == b"mine\n"
    with pytest.raises(SettingsError, match=f"process {first.pid}"):
        async with DataDirLock(tmp_path):
            raise AssertionError("two programs in one place")
    first.kill()
    await first.wait()
    async with DataDirLock(tmp_path):
        pass


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(SettingsError, match="isn't writable"):
        async with DataDirLock(tmp_path / "file"):
            raise AssertionError("entered")
