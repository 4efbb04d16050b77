"""What the machine offers: its user, its Debian packages and the mirror they come from."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.testbed.state import BedError

SOURCES = (Path("/etc/apt/sources.list"), Path("/etc/apt/sources.list.d"))
# program that shows that a package is there -> package
PACKAGES: Mapping[str, str] = {
    "dockerd": "docker.io",
    "docker": "docker-cli",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "chromium": "chromium",
    "docker-registry": "docker-registry",
    "nginx": "nginx",
}


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """One Debian or Ubuntu package source of this machine."""

    uri: str
    suite: str
    signed_by: str | None


def run(
    command: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None, user: str | None = None
) -> str:
    """Run a program to its end and return its output; a failure carries the end of that output.

    Raises:
        BedError: the program failed, hung or does not exist.
    """
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            env={**os.environ, **(env or {})},
            user=user,
            group=user,
            extra_groups=[] if user else None,
            cwd="/",
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise BedError(f"the program {command[0]!r} is missing: install it, then try again") from error
    except subprocess.TimeoutExpired as error:
        raise BedError(f"{' '.join(command)!r} did not end within {timeout_s:.0f} s") from error
    if done.returncode != 0:
        raise BedError(f"{' '.join(command)!r} ended with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def release() -> Mapping[str, str]:
    """Return /etc/os-release as a dictionary; empty where there is none."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip('"') for key, value in pairs}


def is_debian_root() -> bool:
    """Say whether missing packages can be installed here."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def mirror() -> Mirror:
    """Return the package source that holds this machine's own release.

    Raises:
        BedError: neither the one-line nor the deb822 sources name one.
    """
    suite = release().get("VERSION_CODENAME", "")
    for source in _sources():
        if source.suite == suite:
            return source
    raise BedError(f"no package source for {suite!r} in {SOURCES[0]} or {SOURCES[1]}: add one, then try again")


def _sources() -> list[Mirror]:
    files = [SOURCES[0], *sorted(SOURCES[1].glob("*"))] if SOURCES[1].is_dir() else [SOURCES[0]]
    found: list[Mirror] = []
    for file in files:
        if file.suffix == ".sources":
            found += _deb822(file.read_text())
        elif file.suffix == ".list" and file.is_file():
            found += _one_line(file.read_text())
    return found


def _deb822(text: str) -> list[Mirror]:
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = {key.lower(): value.strip() for key, value in re.findall(r"^([\w-]+):(.*)$", stanza, re.MULTILINE)}
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        signed_by = fields.get("signed-by") or None
        for uri in fields.get("uris", "").split():
            found += [Mirror(uri=uri, suite=suite, signed_by=signed_by) for suite in fields.get("suites", "").split()]
    return found


def _one_line(text: str) -> list[Mirror]:
    found = []
    for options, uri, suite in re.findall(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE):
        key = re.search(r"signed-by=(\S+)", options)
        found.append(Mirror(uri=uri, suite=suite, signed_by=key.group(1) if key else None))
    return found


def postgres_bin() -> Path | None:
    """Return the directory of the newest PostgreSQL server programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def missing_packages(*, engine_answers: bool) -> list[str]:
    """Return the Debian packages that the test-bed still needs here."""
    names = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if engine_answers:
        names = [name for name in names if name not in {"docker.io", "iptables"}]
    if postgres_bin() is None:
        names.append("postgresql")
    return names


def install(packages: Sequence[str]) -> list[str]:
    """Install Debian packages, without what they merely recommend; return those that this release has."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], timeout_s=180, env=quiet)
    wanted = [name for name in packages if _is_known(name)]
    run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *wanted], timeout_s=600, env=quiet)
    return wanted


def _is_known(package: str) -> bool:
    # Debian 12's docker.io holds the command line too; later releases have a package docker-cli.
    if package != "docker-cli":
        return True
    shown = run(["apt-cache", "policy", package], timeout_s=30)
    return "Candidate:" in shown and "Candidate: (none)" not in shown
