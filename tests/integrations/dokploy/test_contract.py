"""The client sends what a real Dokploy was sent, and reads what it answered without losing a field."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from core.errors import ActionFailed, GuardianError, NotFound
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.dokploy_errors import CallFailed, KeyRejected, ProcedureMissing, RightMissing
from integrations.dokploy.client.secret_values import Secret, reveal, unmasked
from tests.integrations.dokploy.calls import BY_TRANSPORT, METHODS, NOT_REPLAYED, UNUSED
from tests.integrations.dokploy.conftest import KEY
from tests.integrations.dokploy.replay import Recording, ReplayServer, recordings

RECORDINGS = recordings()
TOLD = [name for name in RECORDINGS if name not in NOT_REPLAYED]
UNCALLED = [name for name in TOLD if name in BY_TRANSPORT or RECORDINGS[name].procedure in UNUSED]
REPLAYED = [name for name in TOLD if name not in UNCALLED]
SUCCEEDED = [name for name in REPLAYED if RECORDINGS[name].status == 200]
FAILED = [name for name in REPLAYED if RECORDINGS[name].status != 200]

FAILS_AND_MEANS_NOTHING_FOUND = "compose.readLogs-no-match"
SHOWN_IN_CHAT = 300
"""Characters of an error that a person sees; the next step stands at its end."""
NO_SUCH_CONTAINER = "docker.restartContainer-unknown"


def test_every_recorded_call_is_replayed_or_has_a_reason() -> None:
    assert set(BY_TRANSPORT) | set(NOT_REPLAYED) <= set(RECORDINGS)
    assert not set(BY_TRANSPORT) & set(NOT_REPLAYED)
    assert [name for name in REPLAYED if RECORDINGS[name].procedure not in METHODS] == []
    assert set(METHODS) == {RECORDINGS[name].procedure for name in REPLAYED}
    assert not set(METHODS) & UNUSED
    assert {RECORDINGS[name].procedure for name in RECORDINGS} >= UNUSED
    assert len(REPLAYED) + len(UNCALLED) >= 200


@pytest.mark.parametrize("name", SUCCEEDED)
async def test_each_call_matches_its_recording(name: str, server: ReplayServer, dokploy: Dokploy) -> None:
    recording = RECORDINGS[name]
    server.replay(recording)
    result = await METHODS[recording.procedure](dokploy, recording.params)
    _sent_as_recorded(server, recording)
    if result is None and recording.method == "POST":
        return
    assert _plain(result) == (None if recording.content == b"" else recording.answer)


@pytest.mark.parametrize("name", FAILED)
async def test_a_refusal_is_understood(name: str, server: ReplayServer, dokploy: Dokploy) -> None:
    recording = RECORDINGS[name]
    server.replay(recording)
    call = METHODS[recording.procedure](dokploy, recording.params)
    if name == FAILS_AND_MEANS_NOTHING_FOUND:
        assert await call == ""
    else:
        with pytest.raises(GuardianError) as caught:
            await call
        assert type(caught.value) is _expected(recording)
        assert len(str(caught.value)) <= SHOWN_IN_CHAT
    _sent_as_recorded(server, recording)


@pytest.mark.parametrize("name", sorted(UNCALLED))
async def test_other_calls_are_answered_in_the_same_words(name: str, server: ReplayServer, dokploy: Dokploy) -> None:
    recording = RECORDINGS[name]
    server.replay(recording)
    call = _by_transport(dokploy, recording)
    if recording.status == 200:
        assert await call == (None if recording.content == b"" else recording.answer)
    else:
        with pytest.raises(GuardianError) as caught:
            await call
        assert type(caught.value) is _expected(recording)
    _sent_as_recorded(server, recording)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("error-401-bad-key", "does not take the key: it is wrong, expired, of no organization"),
        ("error-401-ratelimited-call4", "`rateLimitEnabled: false`"),
        ("member-compose.deploy", "You don't have access to this service"),
        ("member-docker.getContainers", "give its role the right"),
        ("error-404-unknown-id", "compose.one of 'doesnotexist': Compose not found"),
        ("error-404-deploy-unknown-id", "the key belongs to another organization"),
        ("compose.loadServices-git-cache", "never deployed nor fetched; deploy it once"),
        ("deployment.all-postgres", "type: Invalid option: expected one of"),
        ("error-415-text-plain", "a proxy before it takes the header away"),
        ("error-400-bad-json", "a proxy changed it"),
        ("compose.start-never-deployed", "it was never deployed"),
        ("compose.start-bad-file", "no valid YAML at line 2; correct it, then deploy"),
        ("compose.start-git-after-failed-clone", "a clone that failed empties it"),
        ("compose.getConvertedCompose-bad-yaml", "no valid YAML at line 4, column 1"),
        ("docker.restartContainer-unknown", "there is no such container"),
        ("server.getServerMetrics", "found nobody at that address"),
        ("rollback.rollback-unknown", "there is no such rollback"),
        ("deployment.killProcess", "no process of it to end"),
    ],
)
async def test_a_refusal_says_what_to_do(name: str, message: str, server: ReplayServer, dokploy: Dokploy) -> None:
    recording = RECORDINGS[name]
    server.replay(recording)
    method = METHODS.get(recording.procedure)
    with pytest.raises(GuardianError) as caught:
        await (method(dokploy, recording.params) if method else _by_transport(dokploy, recording))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("error-404-wrong-method", "does not know GET compose.deploy"),
        ("postgres.restart", "does not know POST postgres.restart"),
        ("error-400-missing-body-field", "composeId: Invalid input: expected string, received undefined"),
        ("compose.cancelDeployment", "only Dokploy Cloud can do that"),
        ("auditLog.all", "Valid enterprise license required"),
    ],
)
async def test_an_unknown_call_says_what_to_do(name: str, message: str, server: ReplayServer, dokploy: Dokploy) -> None:
    recording = RECORDINGS[name]
    server.replay(recording)
    procedure = recording.path.removeprefix("/api/")
    with pytest.raises(GuardianError) as caught:
        if recording.method == "GET":
            await dokploy.transport.get(procedure, object, recording.query)
        else:
            await dokploy.transport.order(procedure, recording.params)
    assert message in str(caught.value)


async def test_the_limit_of_a_key_is_recognised_from_the_calls_it_let_through(
    server: ReplayServer, dokploy: Dokploy
) -> None:
    for call in (1, 2, 3):
        server.replay(RECORDINGS[f"error-401-ratelimited-call{call}"])
        assert await dokploy.instance.version() == "v0.30.2"
    for call in (4, 5):
        server.replay(RECORDINGS[f"error-401-ratelimited-call{call}"])
        with pytest.raises(KeyRejected, match="took the key for 3 calls and does not any more: keys are by default"):
            await dokploy.instance.version()


async def _by_transport(dokploy: Dokploy, recording: Recording) -> object:
    procedure = recording.path.removeprefix("/api/")
    if recording.method == "GET":
        return await dokploy.transport.get(procedure, object, recording.query)
    if recording.content == b"":
        await dokploy.transport.order(procedure, recording.params)
        return None
    return await dokploy.transport.post(procedure, object, recording.params)


def _sent_as_recorded(server: ReplayServer, recording: Recording) -> None:
    (asked,) = server.asked
    assert (asked.method, asked.path) == (recording.method, recording.path)
    assert asked.headers["x-api-key"] == KEY
    if recording.is_raw:
        return
    assert asked.query == recording.query
    assert asked.body == recording.body
    if recording.method == "POST":
        assert asked.headers["content-type"] == "application/json"


def _expected(recording: Recording) -> type[GuardianError]:
    """What a refusal must become, told from its status and form alone."""
    body = recording.answer
    if recording.status == 401:
        return RightMissing if "code" in body else KeyRejected
    if recording.status == 403:
        return RightMissing
    if recording.status == 404:
        return NotFound if "path" in body["data"] else ProcedureMissing
    assert issubclass(CallFailed, ActionFailed)
    return NotFound if recording.name == NO_SUCH_CONTAINER else CallFailed


def _plain(value: object) -> Any:
    """A result as the JSON it came from."""
    if isinstance(value, Secret):
        return reveal(value)
    if isinstance(value, BaseModel):
        return unmasked(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
