"""Where the test-bed keeps its parts and what it knows about them between two runs."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path


class BedError(RuntimeError):
    """The test-bed cannot be set up; the message says what is missing and what to do next."""


@dataclass(frozen=True, kw_only=True)
class Bed:
    """The addresses of the running parts."""

    docker_host: str
    image: str
    postgres_url: str
    chromium: str
    compose_config: str

    def exports(self) -> dict[str, str]:
        """Return the parts under the names of environment variables."""
        return {
            "IG_TEST_DOCKER_HOST": self.docker_host,
            "IG_TEST_IMAGE": self.image,
            "IG_TEST_POSTGRES_URL": self.postgres_url,
            "IG_TEST_CHROMIUM": self.chromium,
            "IG_TEST_COMPOSE": self.compose_config,
        }


def cache_dir() -> Path:
    """Return the directory that all clones of this user share; created when missing."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "infraguardian" / "testbed"
    path.mkdir(parents=True, exist_ok=True)
    return path


def _tag() -> str:
    return hashlib.sha256(str(cache_dir().resolve()).encode()).hexdigest()[:8]


def run_dir() -> Path:
    """Return the short directory for sockets, whose paths may have at most 107 bytes."""
    root = Path("/run") if os.geteuid() == 0 else Path("/tmp")
    return _own_dir(root / f"infraguardian-testbed-{os.geteuid()}-{_tag()}")


def postgres_dir() -> Path:
    """Return the home of the PostgreSQL cluster; its server runs as another user, who may not enter root's home."""
    if os.geteuid() != 0:
        return cache_dir() / "postgres"
    return _own_dir(Path("/var/lib") / f"infraguardian-testbed-{_tag()}")


def _own_dir(path: Path) -> Path:
    path.mkdir(mode=0o755, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        raise BedError(f"{str(path)!r} belongs to somebody else: remove it, then try again")
    return path


def read_state() -> Bed | None:
    """Return what the last set-up wrote, or None; says nothing about whether the parts still live."""
    try:
        return Bed(**json.loads((cache_dir() / "state.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def write_state(bed: Bed) -> None:
    """Keep the addresses for later runs; readable by the owner only, the database's password is among them."""
    path = cache_dir() / "state.json"
    draft = path.with_suffix(".tmp")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(asdict(bed), indent=1))
    draft.replace(path)


def forget_state() -> None:
    """Remove the state file."""
    (cache_dir() / "state.json").unlink(missing_ok=True)


@contextmanager
def only_one() -> Iterator[None]:
    """Hold the lock that keeps two set-ups from running at once; a second one waits."""
    with (cache_dir() / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
