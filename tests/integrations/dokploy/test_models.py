"""Rows survive what another version of Dokploy may send."""

from __future__ import annotations

import json

import pytest

from integrations.docker_engine.models import parse_container
from integrations.dokploy.client.docker_models import Inspection
from integrations.dokploy.client.secret_values import unmasked
from integrations.dokploy.models import (
    ComposeRow,
    DatabaseKind,
    DatabaseRow,
    DeploymentRow,
    DeploymentStatus,
    DokployStatus,
    EnvironmentRow,
    SourceType,
)
from tests.integrations.dokploy.replay import recordings


def test_an_unknown_status_is_no_failure() -> None:
    compose = ComposeRow.model_validate({"composeId": "c1", "composeStatus": "paused", "sourceType": "svn"})
    assert (compose.compose_status, compose.source_type) == (DokployStatus.UNKNOWN, SourceType.UNKNOWN)


def test_null_reads_as_an_empty_list_or_text() -> None:
    environment = EnvironmentRow.model_validate({"environmentId": "e1", "name": None, "compose": None, "mysql": None})
    assert (environment.name, environment.compose, environment.databases) == ("", (), ())


def test_a_number_in_place_of_text_is_read() -> None:
    assert DeploymentRow.model_validate({"deploymentId": "d1", "title": 4711}).title == "4711"


def test_unknown_fields_are_kept() -> None:
    compose = ComposeRow.model_validate({"composeId": "c1", "newThing": {"a": [1, {"b": None}]}})
    assert compose.model_dump()["newThing"] == {"a": [1, {"b": None}]}
    assert unmasked(compose) == {"composeId": "c1", "newThing": {"a": [1, {"b": None}]}}


@pytest.mark.parametrize("kind", list(DatabaseKind))
def test_a_database_knows_its_kind(kind: DatabaseKind) -> None:
    database = DatabaseRow.model_validate({f"{kind}Id": "b1"})
    assert (database.kind, database.id) == (kind, "b1")


@pytest.mark.parametrize(
    ("source", "field"), [("raw", None), ("git", "custom_git_branch"), ("github", "branch"), ("gitea", "gitea_branch")]
)
def test_a_compose_knows_which_field_names_its_branch(source: str, field: str | None) -> None:
    compose = ComposeRow.model_validate({"composeId": "c1", "sourceType": source})
    assert compose.branch_field == field
    assert field is None or hasattr(compose, field)


def test_only_what_has_ended_is_final() -> None:
    final = {status for status in DeploymentStatus if status.is_final}
    assert final == {DeploymentStatus.DONE, DeploymentStatus.ERROR, DeploymentStatus.CANCELLED}


def test_an_inspection_reads_as_a_container_of_an_engine() -> None:
    inspection = Inspection.model_validate(recordings()["docker.getConfig-with-domain"].answer)
    container = parse_container("local", unmasked(inspection))
    assert (container.name, container.service) == ("labstack-t1ev9p-web-1", "web")
    assert container.health.value == "starting"
    assert json.dumps(unmasked(inspection))
