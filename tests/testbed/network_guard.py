"""Close the network: tests reach this machine and the Docker bridges on it, nothing else."""

import ipaddress
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GUARDED_EVENTS = frozenset({"socket.connect", "socket.sendto"})
BRIDGES = ("docker", "br-")
_closed = False
_hooked = False


class NetworkClosed(RuntimeError):
    """A test tried to reach a machine outside; use a local server instead."""


@contextmanager
def closed_network() -> Iterator[None]:
    """Refuse connections to the outside while this lasts. An audit hook cannot be removed, only be idle."""
    global _closed, _hooked
    if not _hooked:
        sys.addaudithook(_watch)
        _hooked = True
    _closed = True
    try:
        yield
    finally:
        _closed = False


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if not _closed or event not in GUARDED_EVENTS:
        return
    sock, address = arguments[0], arguments[1]
    if not isinstance(sock, socket.socket) or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    host = address[0] if isinstance(address, tuple) else None
    if isinstance(host, str) and not is_near(host):
        raise NetworkClosed(f"a test tried to reach {host!r}; tests may only talk to this machine")


def is_near(host: str) -> bool:
    """Say whether that address is this machine, or a container on one of its Docker bridges."""
    if host in ("localhost", ""):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return True
    return address.version == 4 and any(address in network for network in _bridge_networks())


def _bridge_networks() -> Iterator[ipaddress.IPv4Network]:
    try:
        lines = Path("/proc/net/route").read_text().splitlines()[1:]
    except FileNotFoundError:
        return
    for line in lines:
        interface, target, _, _, _, _, _, mask = line.split()[:8]
        if interface.startswith(BRIDGES):
            yield ipaddress.IPv4Network((_address(target), _address(mask)))


def _address(little_endian_hex: str) -> str:
    return str(ipaddress.IPv4Address(bytes.fromhex(little_endian_hex)[::-1]))
