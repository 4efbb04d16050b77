"""A compose file as Dokploy deploys it: comments gone, labels and networks of its domains put in."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from tests.standins.dokploy.rows import Row

SHARED_NETWORK = "dokploy-network"
UNCLOSED = "Flow sequence in block collection must be sufficiently indented and end with a ]"
PROBLEMS = {"expected ',' or ']', but got '<stream end>'": UNCLOSED}
"""This parser's words → those of the one that Dokploy uses, where they were recorded."""


class BadFile(Exception):
    """The text cannot be deployed; the message is what Dokploy says of it."""


class _Writer(SafeRepresenter):
    """Writes strings as Dokploy's library does: plain, else in double quotes, else as a block."""


def _string(writer: SafeRepresenter, text: str) -> ScalarNode:
    style = "|" if "\n" in text else None
    if style is None and writer.serializer.resolver.resolve(ScalarNode, text, (True, False)) != TEXT_TAG:
        style = '"'
    return writer.represent_scalar(TEXT_TAG, text, style=style)


TEXT_TAG = "tag:yaml.org,2002:str"
_Writer.add_representer(str, _string)


def parsed(text: str) -> dict[str, Any]:
    """The file as plain data; BadFile names the line."""
    try:
        loaded = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        raise BadFile(_complaint(text, error)) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise BadFile("Cannot read properties of undefined (reading 'services')")
    return loaded


def _complaint(text: str, error: MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    problem = PROBLEMS.get(str(error.problem), str(error.problem))
    lines = text.split("\n")
    shown = lines[line] if line < len(lines) else ""
    if not shown.strip() and line > 0:
        shown = f"{lines[line - 1]}\n"
    return f"{problem} at line {line + 1}, column {column + 1}:\n\n{shown}\n{' ' * column}^\n"


def written(data: dict[str, Any]) -> str:
    """The data as YAML."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Writer
    yaml.default_flow_style = False
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def converted(text: str, compose: Row, domains: Iterable[Row]) -> str:
    """What is deployed; BadFile when the YAML is bad or a domain names a service it lacks."""
    data = parsed(text)
    if compose["isolatedDeployment"]:
        _isolate(data, compose["suffix"] or compose["appName"])
    is_stack = compose["composeType"] == "stack"
    for domain in (one for one in domains if one["enabled"]):
        service = (data.get("services") or {}).get(domain["serviceName"])
        if service is None:
            raise BadFile(f"The service {domain['serviceName']} not found in the compose")
        holder = service.setdefault("deploy", {}) if is_stack else service
        holder["labels"] = _labels(holder.get("labels"), compose, domain)
        if not compose["isolatedDeployment"]:
            _join_shared(data, service)
    return written(data)


def _labels(present: object, compose: Row, domain: Row) -> list[str]:
    listed = [f"{name}={value}" for name, value in present.items()] if isinstance(present, dict) else None
    labels = listed if listed is not None else list(present) if isinstance(present, list) else []
    driver = "swarm" if compose["composeType"] == "stack" else "docker"
    network = f"traefik.{driver}.network={SHARED_NETWORK}"
    if network not in labels and not compose["isolatedDeployment"]:
        labels.insert(0, network)
    for entrypoint in ("web", "websecure") if domain["https"] else (domain["customEntrypoint"] or "web",):
        labels += _router_labels(compose["appName"], domain, entrypoint)
    if "traefik.enable=true" not in labels:
        labels.append("traefik.enable=true")
    return labels


def _router_labels(app_name: str, domain: Row, entrypoint: str) -> list[str]:
    router = f"{app_name}-{domain['uniqueConfigKey']}-{entrypoint}"
    prefix = f"traefik.http.routers.{router}"
    path = domain["path"] or "/"
    rule = f"Host(`{domain['host']}`)" + (f" && PathPrefix(`{path}`)" if path != "/" else "")
    labels = [
        f"{prefix}.rule={rule}",
        f"{prefix}.entrypoints={entrypoint}",
        f"traefik.http.services.{router}.loadbalancer.server.port={domain['port'] or 80}",
        f"{prefix}.service={router}",
    ]
    if entrypoint == "web" and domain["https"]:
        labels.append(f"{prefix}.middlewares=redirect-to-https@file")
    if entrypoint == "websecure" and domain["certificateType"] == "letsencrypt":
        labels.append(f"{prefix}.tls.certresolver=letsencrypt")
    if entrypoint == "websecure" and domain["certificateType"] == "custom":
        labels.append(f"{prefix}.tls.certresolver={domain['customCertResolver']}")
    return labels


def _join_shared(data: dict[str, Any], service: dict[str, Any]) -> None:
    networks = service.get("networks") or []
    if isinstance(networks, dict):
        service["networks"] = {**networks, SHARED_NETWORK: networks.get(SHARED_NETWORK, {}), "default": {}}
    else:
        service["networks"] = [*networks, *(name for name in (SHARED_NETWORK, "default") if name not in networks)]
    data["networks"] = {**(data.get("networks") or {}), SHARED_NETWORK: {"external": True}}


def _isolate(data: dict[str, Any], network: str) -> None:
    for service in (data.get("services") or {}).values():
        service["networks"] = [network]
    data["networks"] = {**(data.get("networks") or {}), network: {"name": network, "external": True}}
