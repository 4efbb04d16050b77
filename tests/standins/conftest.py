"""A caller of the stand-in, and a compose file with programs of the tests' image."""

from collections.abc import Callable

import pytest

from tests.standins.dokploy import DokployStandin
from tests.standins.dokploy.caller import Caller

FileOf = Callable[..., str]


@pytest.fixture
def caller(dokploy: DokployStandin) -> Caller:
    """Calls with the owner's key."""
    return Caller(url=dokploy.url, key=dokploy.api_key)


@pytest.fixture
def file_of(testbed_image: str) -> FileOf:
    """A factory of compose files: `file_of(web="web.py")`."""

    def make(**services: str) -> str:
        lines = ["# the shop", "services:"]
        for name, program in services.items():
            lines += [f"  {name}:", f"    image: {testbed_image}", f'    command: ["python3", "/srv/{program}"]']
            lines.append("    stop_grace_period: 1s")
        return "\n".join(lines) + "\n"

    return make
