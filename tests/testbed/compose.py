"""Docker Compose v2 as a plugin of the docker command line, out of a Debian package."""

import shutil
import tempfile
from pathlib import Path

from tests.testbed import machine
from tests.testbed.state import BedError, cache_dir

# Debian 12 has only Compose v1; these suites have v2. The first that has the package is used.
SUITES = ("trixie", "sid")
PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"


def config_dir() -> Path:
    """Return the directory to be given as DOCKER_CONFIG."""
    return cache_dir() / "docker-config"


def plugin() -> Path:
    """Return where the plugin stands once it was fetched."""
    return config_dir() / "cli-plugins" / "docker-compose"


def ensure() -> Path:
    """Fetch Compose v2 unless it is there, and return the DOCKER_CONFIG directory."""
    if plugin().exists():
        return config_dir()
    failures: list[str] = []
    for suite in SUITES:
        try:
            return _fetch(suite)
        except BedError as error:
            failures.append(f"{suite}: {error}")
    raise BedError("Docker Compose v2 could not be fetched:\n" + "\n".join(failures))


def _fetch(suite: str) -> Path:
    with tempfile.TemporaryDirectory(prefix="infraguardian-compose-", dir="/var/tmp") as work:
        home = Path(work)
        apt = _private_apt(home, suite)
        machine.run(["apt-get", *apt, "update", "-qq"], timeout_s=180)
        names = machine.run(["apt-get", *apt, "download", "--print-uris", "docker-compose"], timeout_s=60).split()
        machine.run(
            ["sh", "-c", 'cd "$0" && shift 0 && apt-get "$@" download docker-compose', work, *apt], timeout_s=180
        )
        package = next(home.glob("docker-compose_*.deb"), None)
        if package is None:
            raise BedError(f"apt named {names!r} but left no package")
        machine.run(["dpkg-deb", "-x", str(package), str(home / "tree")], timeout_s=60)
        plugin().parent.mkdir(parents=True, exist_ok=True)
        draft = plugin().with_suffix(".part")
        shutil.copyfile(home / "tree" / PLUGIN, draft)
        draft.chmod(0o755)
        draft.replace(plugin())
    return config_dir()


def _private_apt(home: Path, suite: str) -> list[str]:
    """Write an apt state that knows one suite only, from the mirror of this machine; return the options for it."""
    source = machine.mirror()
    for folder in ("state/lists/partial", "cache/archives/partial", "parts"):
        (home / folder).mkdir(parents=True)
    (home / "status").touch()
    signed = f" [signed-by={source.signed_by}]" if source.signed_by else ""
    (home / "sources.list").write_text(f"deb{signed} {source.uri} {suite} main\n")
    options = {
        "Dir::State": home / "state",
        "Dir::State::status": home / "status",
        "Dir::Cache": home / "cache",
        "Dir::Etc::sourcelist": home / "sources.list",
        "Dir::Etc::sourceparts": home / "parts",
        "Dir::Etc::preferences": home / "none",
        "Dir::Etc::preferencesparts": home / "parts",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    return [argument for key, value in options.items() for argument in ("-o", f"{key}={value}")]
