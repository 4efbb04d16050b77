"""Sets the environment, health check and restart policy of a service."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.text import Text
from core.text import text as said
from integrations.compose_file.edits.limit_edits import LimitStyle
from integrations.compose_file.edits.list_edits import set_list_item
from integrations.compose_file.edits.proved_change import (
    YamlPath,
    change_setting,
    find_setting,
    is_own_setting,
    node_meaning,
    reread_file,
    service_node,
    verify_only_changes,
)
from integrations.compose_file.file_errors import ComposeFileError, name_for_people, quoted_name
from integrations.compose_file.text_splice import ValueTree, YamlSource, flow_style_line, remove_entry, yaml_scalar
from integrations.compose_file.units import format_duration
from integrations.compose_file.yaml_tree import ComposeDocument, YamlNode, own_entry, parse_compose_file, value_at_path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_POLICY = re.compile(r"no|always|unless-stopped|on-failure(?::(?P<tries>[0-9]{1,6}))?")
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_TEST_KINDS = ("CMD", "CMD-SHELL", "NONE")
_IN_SWARM = {"no": "none", "always": "any", "unless-stopped": "any"}


def set_environment(text: str, service: str, key: str, value: str) -> str:
    """Return the file with one environment value of a service set, in the style (map or list) the file has.

    The value is what Compose reads: `${X}` is replaced from the environment, `$$` is a dollar sign.
    """
    _check_key(key)
    document = parse_compose_file(text)
    environment = value_at_path(service_node(document, service), "environment")
    if environment is not None and environment.kind == "sequence":
        found = [position for position, item in enumerate(environment.items) if _key_of(item) == key]
        at = found[-1] if found else None
        style = environment.items[at].real.style if at is not None else _common_style(environment)
        return set_list_item(document, service, "environment", yaml_scalar(f"{key}={value}", style=style), at=at).text
    old = value_at_path(environment, key)
    is_number = old is not None and old.style == "" and _WHOLE_NUMBER.fullmatch(value)
    written = YamlSource(value) if is_number else yaml_scalar(value, style=old.style if old is not None else "")
    return change_setting(document, service, ("environment", key), written).text


def remove_environment(text: str, service: str, key: str) -> str:
    """Return the file without one environment value of a service; a missing or inherited one is an error."""
    _check_key(key)
    document = parse_compose_file(text)
    environment = value_at_path(service_node(document, service), "environment")
    if environment is None or not is_own_setting(document, service, "environment"):
        raise _not_there(document, service, key)
    names = [name.real.value for name, _ in environment.entries] or [_key_of(item) for item in environment.items]
    if key not in names:
        raise _not_there(document, service, key)
    path: YamlPath = ("services", service, "environment")
    if len(names) == 1:
        mapping = service_node(document, service)
        position = next(at for at, (name, _) in enumerate(mapping.entries) if name.real.value == "environment")
        after, kept = reread_file(remove_entry(document, mapping, position)), None
    elif environment.kind == "mapping":
        after, kept = reread_file(remove_entry(document, environment, names.index(key))), None
        path = (*path, key)
    else:
        after = reread_file(remove_entry(document, environment, names.index(key)))
        kept = [node_meaning(item) for item in environment.items if item is not environment.items[names.index(key)]]
    verify_only_changes(document, after, {path: kept})
    return after.text


def set_healthcheck(
    text: str,
    service: str,
    test: str | Sequence[str],
    *,
    interval_s: float | None = None,
    timeout_s: float | None = None,
    retries: int | None = None,
    start_period_s: float | None = None,
) -> str:
    """Return the file with the health check of a service set; options not given stay as they are.

    `test`: a shell command, or a list `["CMD", "curl", …]`; a list without CMD, CMD-SHELL or NONE gets CMD.
    """
    document = parse_compose_file(text)
    service_node(document, service)
    if not test:
        raise ComposeFileError("a health check needs a command", message=said("compose_error.no_command"))
    parts: list[tuple[str, ValueTree]] = [("test", _test(test))]
    for name, seconds in (("interval", interval_s), ("timeout", timeout_s), ("start_period", start_period_s)):
        if seconds is not None:
            if not 0.001 <= seconds <= 86_400:
                raise ComposeFileError(
                    f"the {name} of a health check must be between 1 ms and a day",
                    message=said("compose_error.bad_span", name=name),
                )
            parts.append((name, YamlSource(format_duration(seconds))))
    if retries is not None:
        if not 1 <= retries <= 1000:
            raise ComposeFileError(
                "a health check has between 1 and 1000 retries", message=said("compose_error.bad_retries")
            )
        parts.append(("retries", YamlSource(str(retries))))
    disabled = find_setting(document, service, "healthcheck", "disable")
    if disabled is not None and disabled.value == "true":
        parts.append(("disable", YamlSource("false")))
    for name, tree in parts:
        document = change_setting(document, service, ("healthcheck", name), tree)
    return document.text


def set_restart(text: str, service: str, policy: str, *, style: LimitStyle = "compose") -> str:
    """Return the file with a service's restart policy set: no, always, unless-stopped, on-failure, on-failure:3.

    For Swarm it is `deploy.restart_policy`, which knows no difference between always and unless-stopped.
    """
    found = _POLICY.fullmatch(policy)
    if found is None:
        raise ComposeFileError(
            "that is no restart policy; use no, always, unless-stopped, on-failure or on-failure:3",
            message=said("compose_error.bad_policy"),
        )
    document = parse_compose_file(text)
    service_node(document, service)
    if style == "compose":
        return change_setting(document, service, ("restart",), yaml_scalar(policy)).text
    condition = _IN_SWARM.get(policy, "on-failure")
    document = change_setting(document, service, ("deploy", "restart_policy", "condition"), yaml_scalar(condition))
    if found["tries"]:
        document = change_setting(
            document, service, ("deploy", "restart_policy", "max_attempts"), YamlSource(found["tries"])
        )
    return document.text


def _test(test: str | Sequence[str]) -> YamlSource:
    if isinstance(test, str):
        return yaml_scalar(test)
    parts = list(test) if test[0] in _TEST_KINDS else ["CMD", *test]
    return YamlSource(flow_style_line([yaml_scalar(part, style='"') for part in parts]))


def _check_key(key: str) -> None:
    if not _NAME.fullmatch(key):
        raise ComposeFileError(
            "that is no name of an environment variable; use letters, digits and underscores",
            message=said("compose_error.bad_variable"),
        )


def _key_of(item: YamlNode) -> str:
    return item.real.value.split("=", 1)[0]


def _common_style(environment: YamlNode) -> str:
    styles = {item.real.style for item in environment.items}
    return styles.pop() if len(styles) == 1 else ""


def _not_there(document: ComposeDocument, service: str, key: str) -> ComposeFileError:
    is_inherited = find_setting(document, service, "environment", key) is not None
    why = "inherits it; remove it where it is written" if is_inherited else "does not set it itself"
    entry = own_entry(service_node(document, service), "environment")
    node = entry[1] if entry is not None else service_node(document, service)
    message = "compose_error.inherited" if is_inherited else "compose_error.not_set"
    return document.error(
        f"{quoted_name(service)} {why}: {quoted_name(key)}",
        node,
        Text(message, {"service": name_for_people(service), "key": name_for_people(key)}),
    )
