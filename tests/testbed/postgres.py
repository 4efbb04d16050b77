"""A private PostgreSQL cluster for the tests: on loopback, quick and without a promise to survive a power cut."""

import os
import secrets
import shutil
import socket
from pathlib import Path
from urllib.parse import quote

import psycopg

from tests.testbed import machine
from tests.testbed.state import BedError, postgres_dir, run_dir

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
}


def answers(url: str) -> bool:
    """Say whether that server takes our password within seconds."""
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error:
        return False
    return True


def ensure(known_url: str | None) -> str:
    """Return the URL of a running cluster: the known one, else a new one in its place."""
    if known_url and answers(known_url):
        return known_url
    stop()
    return _start()


def _server_user() -> str | None:
    """Return the user to run the server as: PostgreSQL refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else None


def _start() -> str:
    programs = machine.postgres_bin()
    if programs is None:
        raise BedError("PostgreSQL is missing: install the package `postgresql`, then try again")
    home, user = postgres_dir(), _server_user()
    home.mkdir(parents=True, exist_ok=True)
    data, password_file, log = home / "data", home / "password", home / "postgres.log"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    password = secrets.token_urlsafe(18)
    password_file.touch(mode=0o600)
    password_file.write_text(password)
    log.touch(mode=0o600)
    if user:
        for path in (data, password_file, log):
            shutil.chown(path, user, user)
    options = [
        "--auth=scram-sha-256",
        "--username=guardian",
        f"--pwfile={password_file}",
        "--no-sync",
        "--encoding=UTF8",
    ]
    machine.run([str(programs / "initdb"), "-D", str(data), "--locale=C.UTF-8", *options], timeout_s=60, user=user)
    password_file.unlink()
    port = _free_port()
    flags = " ".join(f"-c {key}={value}" for key, value in {**SETTINGS, "port": port}.items())
    flags += f" -c unix_socket_directories={_socket_dir(user)}"
    command = [str(programs / "pg_ctl"), "-D", str(data), "-l", str(log), "-w", "-t", "30", "-o", flags, "start"]
    machine.run(command, timeout_s=60, user=user)
    return f"postgresql://guardian:{quote(password)}@127.0.0.1:{port}/postgres"


def _socket_dir(user: str | None) -> Path:
    path = run_dir() / "postgres"
    path.mkdir(mode=0o700, exist_ok=True)
    if user:
        shutil.chown(path, user, user)
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop() -> bool:
    """Stop our cluster; say whether one ran."""
    programs, data = machine.postgres_bin(), postgres_dir() / "data"
    if programs is None or not (data / "postmaster.pid").exists():
        return False
    command = [str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "-t", "20", "stop"]
    try:
        machine.run(command, timeout_s=30, user=_server_user())
    except BedError:
        return False  # a process file left by a server that was killed: the new cluster removes it
    return True
