"""Loads the shipped runbooks, and the owner's beside or instead of them."""

from __future__ import annotations

from pathlib import Path

from agent.runbooks.checker import check_runbook_file
from agent.runbooks.runbook import Runbook, Runbooks
from agent.runbooks.yaml_positions import Mistake
from core.actions.catalog import Catalog
from core.errors import RunbookError

__all__ = ["Runbook", "Runbooks", "load_runbooks"]
FILES_LIMIT = 500
_ENDINGS = (".yml", ".yaml")


def load_runbooks(shipped_dir: Path, own_dir: Path | None, catalog: Catalog) -> Runbooks:
    """Read and check every runbook; an own file replaces the shipped one of the same name.

    Raises RunbookError with every mistake of every file: `file:line: what is wrong; what to write`.
    """
    files: dict[str, tuple[Path, str]] = {}
    mistakes: list[Mistake] = []
    for folder in [shipped_dir, *([own_dir] if own_dir else [])]:
        seen: dict[str, str] = {}
        for path in _files(folder):
            if path.stem in seen:
                message = f"there is {seen[path.stem]!r} too: one id, two files; remove one"
                mistakes.append(Mistake(path=_shown(folder, path), line=1, message=message))
            seen[path.stem] = path.name
            files[path.stem] = (path, _shown(folder, path))
    found: dict[str, Runbook] = {}
    for runbook_id, (path, shown) in sorted(files.items()):
        runbook, wrong = check_runbook_file(path, shown, catalog)
        mistakes.extend(wrong)
        if runbook is not None:
            found[runbook_id] = runbook
    if mistakes:
        count = f"{len(mistakes)} mistakes" if len(mistakes) > 1 else "a mistake"
        raise RunbookError(f"{count} in the runbooks:\n" + "\n".join(f"  {one}" for one in sorted(mistakes)))
    return Runbooks(found)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise RunbookError(f"the runbook folder {str(folder)!r} does not exist; create it or correct 'runbooks_dir'")
    paths = sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS and path.is_file())
    if len(paths) > FILES_LIMIT:
        raise RunbookError(f"the runbook folder {str(folder)!r} holds more than {FILES_LIMIT} files; remove some")
    return paths


def _shown(folder: Path, path: Path) -> str:
    return f"{folder.name}/{path.name}"
