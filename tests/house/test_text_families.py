"""Keys of texts that code puts together, `command.{name}.about`: each exists for every value that can stand there."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

import bot.commands.all_commands  # noqa: F401  (fills the table)
from agent.chat.intent_table import CHANGE_INTENTS
from agent.chat.rule_answers import _PLAIN
from agent.chat.status_sentences import _KNOWN_ENDS
from agent.incident.evidence.known_evidence import DOMAIN_PROBLEMS, KNOWN_VALUES, known_evidence
from agent.llm.tools import PROPOSABLE_COMMANDS
from bot.commands.command_table import COMMAND_FAMILIES, listed_commands
from bot.commands.disk import _PARTS
from bot.commands.incidents import CLOSE_REASONS
from bot.commands.metrics import CHART_LABELS
from bot.commands.welcome import _FIRST
from bot.incoming.access import NoOrder
from core.actions.approvals import ApprovalState
from core.actions.calls import CallState
from core.actions.catalog import Risk, Role
from core.clock import SystemClock
from core.deployments.deploys import DeployKind, DeployPhase, VersionVerdict
from core.deployments.platform import DeployStatus, ManagedKind
from core.errors import ModelFailure
from core.incidents.alert_kinds import AlertKind
from core.incidents.evidence import WORD_FAMILIES
from core.incidents.incident import Decider, IncidentState
from core.incidents.paging import GOOD_NEWS, PAGING
from core.monitoring.inventory import ContainerState, Health
from core.monitoring.memory_trend import MemoryShape
from core.monitoring.status import Status
from core.settings import Autonomy, Settings
from core.text import LANGUAGES
from core.views.evidence_lines import _SOURCES
from core.views.platform_lines import _OUR_TONES
from infraguardian import installed_catalog
from integrations.compose_file.yaml_errors import YAML_ERRORS
from integrations.docker_engine.actions.image_updates import UncheckableReason
from integrations.docker_engine.refusals import _OF_REGISTRY, RefusalReason
from integrations.dokploy.access_check import NEEDED_RIGHTS
from integrations.dokploy.client.error_causes import KNOWN_CAUSES, NEXT_STEPS
from integrations.dokploy.client.http_connection import _BROKE, _OTHERWISE
from integrations.dokploy.detectors import _UNREACHABLE_CAUSES
from integrations.dokploy.polling.poll_rotation import PollTopic
from knowledge.config.text_files import load_texts

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("core", "integrations", "knowledge", "agent", "bot", "web")
CATALOG = installed_catalog(Settings(), SystemClock())
OVER = frozenset(one for one in DeployPhase if one.is_over)
COMMANDS = [one.name for one in listed_commands()]
ACTIONS = CATALOG.names()
CHANGES = [name for name in ACTIONS if CATALOG.get(name).risk is not Risk.READ]
STARTS = ("restarted", "started", "unpaused")
Values = Iterable[str | tuple[str, ...]]


def _first_arguments(path: str, function: str) -> list[str]:
    """The words that a module hands to a function of its own."""
    found = [
        node.args[0].value
        for node in ast.walk(_tree(ROOT / path))
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == function
        and isinstance(node.args[0], ast.Constant)
    ]
    assert found, f"{path} calls no {function}"
    return [str(one) for one in found]


@cache
def _tree(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


UNKNOWN_THINGS = _first_arguments("core/errors.py", "_unknown")
VALUES: Mapping[str, Values] = {
    "access.{}": set(NoOrder) - {NoOrder.NOBODY, NoOrder.BOT},
    "act.{}.all": ("restart", "stop"),
    "act.{}.nothing": ("restart", "stop", "up"),
    "act.{}.says": ("restart", "stop", "up"),
    "act.{}.whole_stack": ("restart", "stop"),
    "action.{}": ACTIONS,
    "alert.container_died.{}": ("oom", "oom_host"),
    "alert.deploy_stuck.{}": ("forgotten", "unusual", "long"),
    "alert.domain_failing.{}": (*DOMAIN_PROBLEMS, "certificate_ends"),
    "alert.platform_unreachable.{}": (*(name for name, _ in _UNREACHABLE_CAUSES), "network"),
    "autonomy.{}.about": Autonomy,
    "autonomy.{}.name": Autonomy,
    "button.{}": ("logs", "metrics"),
    "call.ended.{}": [one for one in CallState if one.is_final],
    "call.question.{}": set(ApprovalState) - {ApprovalState.PENDING},
    "call.state.{}": CallState,
    "card.decided_by.{}": Decider,
    "card.plan.{}": ("proposed", "under_way", "done", "tried", "not_done"),
    "card.reply.{}": PAGING | GOOD_NEWS,
    "card.risk.{}": Risk,
    "card.state.{}": IncidentState,
    "card.state.{}_until": (IncidentState.VERIFYING, IncidentState.NEEDS_APPROVAL),
    "close.reason.{}": CLOSE_REASONS,
    "command.{}.about": COMMANDS,
    "command.{}.usage": COMMANDS,
    "compose_error.yaml.{}": (*(name for _, name, _ in YAML_ERRORS), "other"),
    "deploy_card.ping.{}": (*OVER, "good_again"),
    "deploy_card.what.{}": DeployKind,
    "deploy_card.{}": DeployPhase,
    "dialogue.by.{}": _KNOWN_ENDS,
    "dialogue.deployed.status.{}": set(DeployStatus) - {DeployStatus.UNKNOWN},
    "dialogue.deployed.verdict.{}": (*OVER, "running"),
    "dialogue.deployed.what.{}": DeployKind,
    "dialogue.propose.{}": (*CHANGE_INTENTS, *PROPOSABLE_COMMANDS),
    "dialogue.propose_stack.{}": (*CHANGE_INTENTS, *PROPOSABLE_COMMANDS),
    "dialogue.state.{}": ContainerState,
    "dialogue.{}": _PLAIN,
    "did.{}": CHANGES,
    "diff.verdict.{}": VersionVerdict,
    "docker.{}": STARTS,
    "docker.{}_but": STARTS,
    "docker.now.running_{}": set(Health) - {Health.NONE},
    "docker.now.{}": ContainerState,
    "docker.trouble.{}": set(RefusalReason) - {RefusalReason.NOTHING_TO_DO, RefusalReason.WHICH},
    "docker.untold.{}": (*UncheckableReason, *(reason for reason, _ in _OF_REGISTRY), RefusalReason.REGISTRY_OTHER),
    "dokploy.verdict.{}": VersionVerdict,
    "dokploy_check.without.{}": [f"{what}_{verb}" for what, verb in NEEDED_RIGHTS],
    "dokploy_error.cause.{}": [one.name for one in KNOWN_CAUSES],
    "dokploy_error.kind.{}": ManagedKind,
    "dokploy_error.queue_{}": ("runs", "waits"),
    "dokploy_error.topic.{}": PollTopic,
    "dokploy_error.{}": (
        *(name for name, _ in NEXT_STEPS.values()),
        *(name for _, name, _ in _BROKE),
        *(_OTHERWISE[0], "gone", "database", "proxy"),
    ),
    "error.unknown_{}": UNKNOWN_THINGS,
    "error.unknown_{}_near": UNKNOWN_THINGS,
    "evidence.name.{}": known_evidence(),
    "evidence.source.{}": [key for _, key in _SOURCES],
    "evidence.word.{}.{}": [
        (WORD_FAMILIES[path.removeprefix("evidence.")], word)
        for path, words in KNOWN_VALUES.items()
        if path.startswith("evidence.")
        for word in words
    ],
    "help.family.{}": COMMAND_FAMILIES,
    "history.shape.{}": get_args(MemoryShape),
    "incidents.state.{}": IncidentState,
    "info.{}": _first_arguments("bot/commands/service_info.py", "_row"),
    "language.{}": LANGUAGES,
    "managed.button.{}": ("restart", "updates", "info", "services", "deploy", "deploylog", "compose"),
    "managed.domain.{}": DOMAIN_PROBLEMS,
    "managed.phase.{}": set(DeployPhase) - OVER,
    "managed.status.{}": DeployStatus,
    "managed.verdict.{}": _OUR_TONES,
    "metrics.word.{}": CHART_LABELS,
    "model.failed.{}": ModelFailure,
    "order.no_compose.{}": set(ManagedKind) - {ManagedKind.COMPOSE},
    "role.{}": Role,
    "runbooks.event.{}": AlertKind,
    "settings.invite.{}": Role,
    "space.{}": (*_PARTS, "volume", "log"),
    "standing.{}": set(Status) - {Status.FAILED, Status.WELL},
    "watch.quiet.{}": (Status.RESTARTING, Status.UNHEALTHY, Status.STARTING),
    "welcome.button.{}": _FIRST,
    "whoami.may.{}": Role,
}
"""By the key as code writes it, with `{}` for what is put in: every value that may stand there."""
NO_TEXTS = {"dokploy.compose.{}", "dokploy.{}.{}"}
"""Names of actions, which begin like keys."""


@pytest.mark.parametrize("pattern", VALUES)
def test_every_value_has_its_sentence_in_both_languages(pattern: str) -> None:
    texts = load_texts()
    wanted = set(_keys(pattern))
    assert wanted
    missing = {language: sorted(wanted - texts.keys(language)) for language in LANGUAGES}
    assert not any(missing.values()), missing


def _keys(pattern: str) -> Iterator[str]:
    for value in VALUES[pattern]:
        yield pattern.format(*((value,) if isinstance(value, str) else value))


def test_every_sentence_is_used() -> None:
    """One whose key code names nowhere, or puts together where the table does not see it, is dead or hidden."""
    named = {
        node.value
        for path in _files()
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert not load_texts().keys("en") - named - {key for pattern in VALUES for key in _keys(pattern)}


def test_every_key_put_together_in_code_is_looked_at() -> None:
    found = {pattern: place for path in _files() for pattern, place in _put_together(path)}
    assert not {pattern: place for pattern, place in found.items() if pattern not in {*VALUES, *NO_TEXTS}}
    assert not {*VALUES, *NO_TEXTS} - set(found), "no code puts these together any more"


def _files() -> Iterator[Path]:
    yield from (ROOT / "infraguardian.py", ROOT / "cli.py")
    for package in PACKAGES:
        yield from sorted((ROOT / package).rglob("*.py"))


def _put_together(path: Path) -> Iterator[tuple[str, str]]:
    """F-strings that begin like a key, and whatever f-string is given to `text` or `Text`."""
    families = {key.partition(".")[0] for key in load_texts().keys("en")}
    nodes = list(ast.walk(_tree(path)))
    given = {
        id(node.args[0])
        for node in nodes
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("text", "Text") and node.args
    }
    for node in nodes:
        if not isinstance(node, ast.JoinedStr):
            continue
        pattern = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)  # type: ignore[misc]
        begin, dot, rest = pattern.partition(".")
        if id(node) in given or (dot and begin in families and rest.replace("{}", "x").replace(".", "").isidentifier()):
            yield pattern, f"{path.relative_to(ROOT)}:{node.lineno}"
