"""An image registry on loopback: Debian's docker-registry, with data of its own."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import APIError

from tests.testbed.state import BedError
from tests.testbed.world import wait_until

PROGRAM = "docker-registry"
START_LIMIT_S = 20
ANSWER_LIMIT_S = 10
MANIFEST_TYPES = ", ".join(
    (
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    )
)


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A running registry. Docker takes every registry on 127.0.0.0/8 without TLS."""

    port: int
    pushed: list[str] = field(default_factory=list)
    """Every name that was pushed; the engine holds them as tags."""

    @property
    def host(self) -> str:
        """How image names begin: `127.0.0.1:<port>`."""
        return f"127.0.0.1:{self.port}"

    def push(self, client: docker.DockerClient, image: str, name: str, tag: str = "latest") -> str:
        """Push an image of the engine under a name; `127.0.0.1:<port>/name:tag`. The engine keeps that tag too."""
        repository = f"{self.host}/{name}"
        client.images.get(image).tag(repository, tag)
        self.pushed.append(f"{repository}:{tag}")
        for line in client.images.push(repository, tag, stream=True, decode=True):
            if "error" in line:
                raise BedError(f"{repository}:{tag} could not be pushed: {line['error']}")
        return f"{repository}:{tag}"

    def forget(self, client: docker.DockerClient) -> None:
        """Remove the tags from the engine; those that a container still uses stay."""
        for name in set(self.pushed):
            with suppress(APIError):
                client.images.remove(name)

    def digest(self, name: str, tag: str = "latest") -> str:
        """What a tag stands for now: `sha256:…`."""
        status, headers, _ = self._ask("HEAD", f"/v2/{name}/manifests/{tag}")
        if status != 200:
            raise BedError(f"the registry has no {name}:{tag} (HTTP {status}): push it first")
        return headers["docker-content-digest"]

    def tags(self, name: str) -> list[str]:
        """The tags of a repository; none when there is no such repository."""
        status, _, body = self._ask("GET", f"/v2/{name}/tags/list")
        return sorted(json.loads(body)["tags"] or []) if status == 200 else []

    def answers(self) -> bool:
        """Whether it takes requests."""
        try:
            return self._ask("GET", "/v2/")[0] == 200
        except OSError:
            return False

    def _ask(self, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_LIMIT_S)
        try:
            connection.request(method, path, headers={"Accept": MANIFEST_TYPES})
            answer = connection.getresponse()
            return answer.status, {name.casefold(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@contextmanager
def running(home: Path) -> Iterator[Registry]:
    """Run a registry on a free port with its data below `home`, until left."""
    registry = Registry(port=_free_port())
    config = home / "registry.yml"
    config.write_text(_config(home / "data", registry.port), encoding="utf-8")
    with (home / "registry.log").open("wb") as log:
        try:
            process = subprocess.Popen([PROGRAM, "serve", str(config)], stdout=log, stderr=log, cwd=home)
        except FileNotFoundError as error:
            raise BedError(f"the program {PROGRAM!r} is missing: run `make testbed`, then try again") from error
    try:
        wait_until(
            lambda: registry.answers() or process.poll() is not None, START_LIMIT_S, what="the registry's answer"
        )
        if process.poll() is not None:
            raise BedError(
                f"the registry ended with {process.returncode}:\n{(home / 'registry.log').read_text()[-2000:]}"
            )
        yield registry
    finally:
        process.terminate()
        process.wait(ANSWER_LIMIT_S)


def _config(data: Path, port: int) -> str:
    return (
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {json.dumps(str(data))}}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
