"""What Dokploy hands out in clear is seen by nobody: not printed, dumped, logged or quoted in an error."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import pickle
import traceback
from typing import Any

import pytest
import structlog
from pydantic import BaseModel

from core.errors import GuardianError, SystemUnavailable
from integrations.dokploy.client.docker_models import Inspection
from integrations.dokploy.client.dokploy_client import Dokploy
from integrations.dokploy.client.dokploy_errors import CallFailed
from integrations.dokploy.client.row import DokployRow
from integrations.dokploy.client.secret_values import Secret, reveal, unmasked
from integrations.dokploy.models import (
    ApplicationRow,
    BackupRow,
    ComposeRow,
    DatabaseRow,
    DeploymentRow,
    EnvironmentRow,
    ProjectRow,
)
from tests.integrations.dokploy.conftest import KEY, MakeDokploy
from tests.integrations.dokploy.replay import FOLDER, ReplayServer

PLANTED = "planted-s3cr3t"
COMPOSE = {
    "composeId": "c1",
    "name": "shop",
    "env": f"PLAIN={PLANTED}",
    "composeFile": f"services: {{web: {{environment: [A={PLANTED}]}}}}",
    "refreshToken": PLANTED,
    "command": f"compose up --pass {PLANTED}",
    "customGitUrl": f"https://ada:{PLANTED}@git.example.com/shop.git",
    "github": {"githubPrivateKey": PLANTED, "githubAppName": PLANTED},
    "gitlab": {"accessToken": PLANTED},
    "mounts": [{"mountId": "m1", "content": f"a file: {PLANTED}", "filePath": "/x"}],
    "environment": {"env": PLANTED, "project": {"projectId": "p1", "env": PLANTED}},
    "deployments": [{"deploymentId": "d1", "errorMessage": f"echo {PLANTED} | base64 -d"}],
    "newerToken": PLANTED,
    "newer": {"deep": [{"apiKey": PLANTED, "site": f"postgres://u:{PLANTED}@db/x"}]},
}
ROWS: list[tuple[type[BaseModel], dict[str, Any]]] = [
    (ComposeRow, COMPOSE),
    (
        ApplicationRow,
        {
            "applicationId": "a1",
            "env": PLANTED,
            "buildArgs": PLANTED,
            "buildSecrets": PLANTED,
            "previewEnv": PLANTED,
            "password": PLANTED,
            "registry": {"password": PLANTED},
        },
    ),
    (
        DatabaseRow,
        {"postgresId": "b1", "databasePassword": PLANTED, "databaseRootPassword": PLANTED, "command": PLANTED},
    ),
    (ProjectRow, {"projectId": "p1", "env": PLANTED, "environments": [{"environmentId": "e1", "env": PLANTED}]}),
    (EnvironmentRow, {"environmentId": "e1", "env": PLANTED, "compose": [COMPOSE]}),
    (
        DeploymentRow,
        {"deploymentId": "d1", "errorMessage": PLANTED, "rollback": {"rollbackId": "r", "fullContext": {"x": PLANTED}}},
    ),
    (BackupRow, {"backupId": "k1", "metadata": {"postgres": {"databasePassword": PLANTED}}}),
    (DokployRow, {"registryId": "r1", "password": PLANTED}),
    (DokployRow, {"scheduleId": "s1", "command": PLANTED, "script": PLANTED}),
    (
        DokployRow,
        {"serverId": "s1", "metricsConfig": {"server": {"token": PLANTED}}, "sshKey": {"privateKey": PLANTED}},
    ),
    (
        DokployRow,
        {
            "notificationId": "n1",
            "custom": {"customId": "u1", "headers": {"X-Secret": PLANTED}},
            "slack": {"webhookUrl": PLANTED},
            "telegram": {"botToken": PLANTED},
            "webhookUrl": PLANTED,
        },
    ),
    (
        Inspection,
        {
            "Id": "i1",
            "Args": ["--requirepass", PLANTED],
            "Config": {
                "Env": [f"A={PLANTED}"],
                "Cmd": [PLANTED],
                "Entrypoint": [PLANTED],
                "Labels": {"traefik.http.middlewares.a.basicauth.users": f"ada:{PLANTED}", "plain": "x"},
            },
        },
    ),
    (DokployRow, {"events": [{"Type": "container", "Actor": {"ID": "i1", "Attributes": {"auth.token": PLANTED}}}]}),
]


@pytest.mark.parametrize(("model", "raw"), ROWS, ids=[f"{model.__name__}-{next(iter(raw))}" for model, raw in ROWS])
def test_a_record_never_prints_its_secrets(model: type[BaseModel], raw: dict[str, Any]) -> None:
    row = model.model_validate(raw)
    shown = [
        repr(row),
        str(row),
        f"{row}",
        repr(row.model_dump()),
        repr(row.model_dump(by_alias=True, mode="json")),
        row.model_dump_json(),
        repr(row.model_copy(deep=True)),
        repr(row.model_dump(context={"reveal": True})),
        _logged(row),
    ]
    assert [one for one in shown if PLANTED in one] == []
    assert "[secret]" in repr(row)
    assert unmasked(row) == raw


def test_a_secret_is_read_only_explicitly() -> None:
    compose = ComposeRow.model_validate(COMPOSE)
    assert reveal(compose.env) == f"PLAIN={PLANTED}"
    assert reveal(compose.compose_file) == COMPOSE["composeFile"]
    assert reveal(compose.environment.env if compose.environment else None) == PLANTED
    assert reveal(None) is None


def test_a_secret_is_a_value_that_does_not_leave() -> None:
    secret = Secret(PLANTED)
    assert secret == Secret(PLANTED) != Secret("other")
    assert hash(secret) == hash(Secret(PLANTED))
    assert copy.deepcopy([secret]) == [secret]
    assert (str(secret), repr(secret), f"{secret:}") == ("[secret]", "Secret('[secret]')", "[secret]")
    assert (str(Secret("")), bool(Secret("")), bool(secret)) == ("", False, True)
    with pytest.raises(TypeError, match="not written down"):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_what_is_no_secret_stays_readable() -> None:
    row = ComposeRow.model_validate(
        {"composeId": "c1", "sshKeyId": "k1", "customGitSSHKeyId": "k2", "watchPaths": ["src"], "randomize": True}
    )
    assert row.model_dump()["sshKeyId"] == "k1"
    assert row.model_dump()["customGitSSHKeyId"] == "k2"
    assert row.model_dump()["watchPaths"] == ["src"]


SHELL = f"Command failed: (echo {PLANTED} | base64 -d > /etc/x/.env;\n pg_dump --password {PLANTED})\nwrong"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, SHELL),
        (500, f"Failed query: select 1 params: {PLANTED}"),
        (500, PLANTED),
        (400, SHELL),
        (400, f"Command failed: x {PLANTED}"),
        (400, f"one line\n{PLANTED}"),
        (400, f"login with {PLANTED} failed"),
        (404, f"no mount at postgres://ada:{PLANTED}@db"),
        (401, f"password={PLANTED} is no key"),
        (409, f"token: {PLANTED}"),
    ],
)
async def test_an_error_quotes_no_secret(status: int, message: str, server: ReplayServer, dokploy: Dokploy) -> None:
    code = {500: "INTERNAL_SERVER_ERROR", 400: "BAD_REQUEST"}.get(status, "OTHER")
    body = {"message": message, "code": code, "data": {"path": "compose.update", "stack": PLANTED}}
    server.says(json.dumps(body).encode(), status=status)
    with pytest.raises(GuardianError) as caught:
        await dokploy.composes.update("c1", env=f"A={PLANTED}", compose_file=PLANTED)
    _shows_nothing(caught.value)
    if isinstance(caught.value, CallFailed):
        assert reveal(caught.value.detail) == message


async def test_an_answer_of_another_form_quotes_no_secret(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(json.dumps({"composeId": {"env": PLANTED}, "env": [PLANTED], "composeFile": {"a": PLANTED}}).encode())
    with pytest.raises(GuardianError) as caught:
        await dokploy.composes.one("c1")
    assert "composeFile, composeId, env in place of Compose" in str(caught.value)
    _shows_nothing(caught.value)


async def test_no_error_of_a_call_quotes_its_body(server: ReplayServer, make_dokploy: MakeDokploy) -> None:
    server.says(b"<html>", status=502, content_type="text/html")
    dokploy = make_dokploy()
    for call in (
        dokploy.composes.save_environment("c1", f"A={PLANTED}"),
        dokploy.transport.order("application.saveDockerProvider", {"username": "ada", "password": PLANTED}),
        dokploy.transport.order("notification.createCustom", {"endpoint": f"https://x/{PLANTED}"}),
        dokploy.transport.get("server.getServerMetrics", object, {"url": "http://x", "token": PLANTED}),
    ):
        with pytest.raises(GuardianError) as caught:
            await call
        _shows_nothing(caught.value)


async def test_a_peer_that_speaks_no_http_is_shown_nothing_of_the_request(make_dokploy: MakeDokploy) -> None:
    async def babbles(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n\r\n")
        await writer.drain()
        writer.close()

    peer = await asyncio.start_server(babbles, "127.0.0.1", 0)
    async with peer:
        dokploy = make_dokploy(url=f"http://127.0.0.1:{peer.sockets[0].getsockname()[1]}", retries=0)
        with pytest.raises(SystemUnavailable, match=r"correct `dokploy\.url`") as caught:
            await dokploy.transport.get("server.getServerMetrics", object, {"url": "http://x", "token": PLANTED})
    _shows_nothing(caught.value)


async def test_the_key_is_shown_nowhere(server: ReplayServer, dokploy: Dokploy) -> None:
    server.says(b'{"message":"Unauthorized"}', status=401)
    with pytest.raises(GuardianError) as caught:
        await dokploy.projects.all()
    shown = "".join(traceback.format_exception(caught.value)) + repr(dokploy) + _logged(dokploy)
    assert KEY not in shown


def test_the_recordings_hold_no_secret_of_anybody() -> None:
    allowed = {"<removed>", "x", "wrong", "labtoken", "labtoken2"}
    named = ("password", "token", "refreshtoken", "databasepassword", "privatekey", "x-api-key", "sshprivatekey")
    for file in sorted(FOLDER.glob("*.json")):
        for name, value in _pairs(json.loads(file.read_text(encoding="utf-8"))):
            if name.casefold() in named and value and file.stem != "error-401-bad-key":
                assert value in allowed, f"{file.name}: {name}"


def _pairs(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        own = [(name, item) for name, item in value.items() if isinstance(item, str)]
        return own + [pair for item in value.values() for pair in _pairs(item)]
    return [pair for item in value for pair in _pairs(item)] if isinstance(value, list) else []


def _shows_nothing(error: BaseException) -> None:
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None:
        chain.append(current)
        current = current.__cause__ or current.__context__
    shown = [str(one) for one in chain] + [repr(one) for one in chain] + [repr(vars(one)) for one in chain]
    shown += ["".join(traceback.format_exception(error)), _logged(error)]
    assert [one for one in shown if PLANTED in one or KEY in one] == []


def _logged(value: object) -> str:
    out = io.StringIO()
    log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=repr)],
    )
    log.warning("something", value=value, exc_info=value if isinstance(value, BaseException) else None)
    return out.getvalue()
